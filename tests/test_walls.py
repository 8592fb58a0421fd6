"""The two walls: what the device half may import, and what stays out of a process that predicts."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "edgebert"
DEVICE = [
    "__init__",
    "errors",
    "bundle",
    "cpu",
    "manifest",
    "manifest_data",
    "leftovers",
    "strict_json",
    "escape",
    "whole_file",
    "settings",
    "target",
]
DEVICE += ["__main__", "arguments", "cli", "data", "metrics", "runtime", "measure"]
WORKSTATION = ["compress", "exporters", "pipeline", "workdir", "recipe", "report"]
HEAVY = ["torch", "transformers", "optimum", "onnx", "datasets", "huggingface_hub", "sklearn", "nncf", "accelerate"]
HEAVY += ["scipy", "seqeval", "safetensors", "neural_compressor", "matplotlib", "jinja2"]
LIGHT = {"numpy", "tokenizers", "onnxruntime", "openvino"}


def device_files() -> list[Path]:
    files = [PACKAGE / f"{name}.py" for name in DEVICE if (PACKAGE / f"{name}.py").is_file()]
    return files + [path for name in DEVICE if (PACKAGE / name).is_dir() for path in (PACKAGE / name).rglob("*.py")]


def imported(path: Path, root: Path = PACKAGE) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = ["edgebert", *path.relative_to(root).parts[:-1]]
            parents = above[: len(above) + 1 - node.level] if node.level else []
            module = ".".join([*parents, *filter(None, [node.module])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def test_relative_imports_are_seen_for_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "runtime" / "tasks" / "some.py"
    path.parent.mkdir(parents=True)
    path.write_text("from ...compress import losses\nfrom . import other\nfrom ..model import Task\nimport torch.nn\n")
    assert imported(path, tmp_path) == {
        *("edgebert.compress", "edgebert.compress.losses", "edgebert.runtime.tasks", "edgebert.runtime.tasks.other"),
        *("edgebert.runtime.model", "edgebert.runtime.model.Task", "torch.nn"),
    }


@pytest.mark.parametrize("path", device_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_device_half_never_imports_the_workstation_half(path: Path) -> None:
    forbidden = [f"edgebert.{name}" for name in WORKSTATION] + HEAVY
    crossing = [name for name in imported(path) if any(name == ban or name.startswith(f"{ban}.") for ban in forbidden)]
    assert not crossing


@pytest.mark.parametrize("path", device_files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_device_half_needs_four_packages_at_most(path: Path) -> None:
    assert {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) <= {"edgebert", *LIGHT}


def test_the_tasks_of_the_device_are_behind_the_wall() -> None:
    tasks = {path.name for path in device_files() if path.parent == PACKAGE / "runtime" / "tasks"}
    assert tasks == {path.name for path in (PACKAGE / "runtime" / "tasks").glob("*.py")}
    assert {"__init__.py", "text_classification.py"} <= tasks


@pytest.mark.parametrize(
    "module",
    [
        *(
            "arguments",
            "bundle",
            "cpu",
            "manifest",
            "manifest_data",
            "leftovers",
            "strict_json",
            "escape",
            "streams",
            "whole_file",
            "errors",
            "settings",
            "target",
        ),
        *("data/examples", "data/delimited", "data/fingerprint", "data/tags", "data/unknown"),
    ],
)
def test_what_serves_both_halves_needs_only_the_standard_library(module: str) -> None:
    outside = {name.split(".")[0] for name in imported(PACKAGE / f"{module}.py")} - set(sys.stdlib_module_names)
    assert outside <= {"edgebert"}


def modules_after(code: str) -> set[str]:
    answer = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(answer.stdout.split("\n"))


def test_import_alone_loads_no_numpy() -> None:
    assert not modules_after("import edgebert") & {"numpy", "onnxruntime", "tokenizers", *HEAVY}


def workstation(loaded: set[str]) -> set[str]:
    """What of a process's modules has no place on a device."""
    ours = tuple(f"edgebert.{name}" for name in WORKSTATION)
    return {name for name in loaded if name in HEAVY or name.startswith(ours)}


def test_a_prediction_loads_nothing_of_the_workstation(built: Path) -> None:
    loaded = modules_after(f"import edgebert; edgebert.load({str(built)!r})('a good film')")
    assert not workstation(loaded)
    assert "onnxruntime" in loaded


def test_the_device_half_of_every_task_loads_nothing_of_the_workstation() -> None:
    loaded = modules_after("from edgebert.runtime import tasks; [tasks.device_half(at) for at in tasks.task_names()]")
    assert not workstation(loaded)
    assert "edgebert.runtime.tasks.text_classification" in loaded


def test_the_command_line_predicts_without_the_workstation(built: Path) -> None:
    code = f"from edgebert.cli import main; main(['predict', {str(built)!r}, 'a good film'])"
    assert not workstation(modules_after(code))


def test_the_public_names_are_these() -> None:
    import edgebert

    assert sorted(edgebert.__all__) == sorted(
        [
            *("BundleError", "BusyError", "CheckpointError", "DataError", "DiskError", "EdgeBertError", "InputError"),
            *("MissingDependencyError", "ParityError", "RunError", "SaturationWarning", "SettingsError", "TargetError"),
            *("TextError", "UnknownLabelWarning"),
            *("__version__", "evaluate", "load"),
        ]
    )
    assert all(hasattr(edgebert, name) for name in edgebert.__all__)


def test_an_installed_edgebert_has_every_package() -> None:
    packages = {
        ".".join(("edgebert", *path.parent.relative_to(PACKAGE).parts)) for path in PACKAGE.rglob("__init__.py")
    }
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    assert set(project["tool"]["setuptools"]["packages"]) == packages | {"edgebert.profiles"}


def test_no_file_and_no_function_outgrows_a_reader() -> None:
    for path in (*PACKAGE.rglob("*.py"), *Path(__file__).parent.rglob("*.py")):
        text = path.read_text()
        assert text.count("\n") <= 400, f"{path.name} is longer than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno <= 60, f"{path.name}: {node.name} is longer than a screen"
