"""The import contracts of pyproject.toml: what the device half may import, and what a process that predicts has."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edgebert.measure.targets.payload import LEFT_OUT

PACKAGE = Path(__file__).parent.parent / "edgebert"
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
CONTRACTS = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
DEVICE = CONTRACTS["device"]["source_modules"]
FORBIDDEN = CONTRACTS["device"]["forbidden_modules"]
WORKSTATION = [name for name in FORBIDDEN if name.startswith("edgebert.") and name != "edgebert.commands"]
HEAVY = [name for name in FORBIDDEN if not name.startswith("edgebert.")]


def required(*extras: str) -> set[str]:
    """Packages that the wheel requires by itself or in the extras."""
    wanted = [
        PROJECT["project"]["dependencies"],
        *(PROJECT["project"]["optional-dependencies"][name] for name in extras),
    ]
    return {line.split(">")[0] for lines in wanted for line in lines}


def test_the_import_contracts_are_kept() -> None:
    pytest.importorskip("importlinter")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True))"]
    answer = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    assert "3 kept, 0 broken" in answer.stdout


def test_the_contracts_name_every_module() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    ours = [name.removeprefix("edgebert.") for name in (*DEVICE, *FORBIDDEN) if name.startswith("edgebert.")]
    assert sorted(ours) == sorted(names - {"__init__"})


def test_the_device_half_needs_four_packages_at_most() -> None:
    graph = pytest.importorskip("grimp").build_graph("edgebert", include_external_packages=True, cache_dir=None)
    ours = [name for name in graph.modules if name == "edgebert" or name.startswith(tuple(DEVICE))]
    used = {found for name in ours for found in graph.find_modules_directly_imported_by(name)}
    outside = {name for name in used if not name.startswith("edgebert")} - set(sys.stdlib_module_names)
    assert outside == required("openvino") == set(CONTRACTS["standard-library"]["forbidden_modules"])
    assert "edgebert.runtime.tasks.text_classification" in ours


def test_what_is_sent_to_another_machine_is_the_device_half() -> None:
    workstation = {name.removeprefix("edgebert.") for name in FORBIDDEN if name.startswith("edgebert.")}
    assert {name.removesuffix(".py") for name in LEFT_OUT} == workstation | {"cli", "profiles"}
    assert all((PACKAGE / name).exists() for name in LEFT_OUT - {"profiles"})


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
            *("__version__", "bench", "evaluate", "export", "load"),
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
