"""The import contracts of pyproject.toml: imports of the device half, and of a process that predicts."""

import ast
import subprocess
import sys
import tomllib
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from edgebert.measure.targets.payload import LEFT_OUT, TRAINING

PACKAGE = Path(__file__).parent.parent / "edgebert"
PROJECT = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
CONTRACTS = {contract["id"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}
DEVICE = CONTRACTS["device"]["source_modules"]
FORBIDDEN = CONTRACTS["device"]["forbidden_modules"]
WORKSTATION = [name for name in FORBIDDEN if name.startswith("edgebert.") and name != "edgebert.commands"]
HEAVY = [name for name in FORBIDDEN if not name.startswith("edgebert.")]


def required(*extras: str) -> set[str]:
    """Packages that the wheel requires, by itself or in its extras."""
    wanted = [
        PROJECT["project"]["dependencies"],
        *(PROJECT["project"]["optional-dependencies"][name] for name in extras),
    ]
    return {line.split(">")[0] for lines in wanted for line in lines}


def is_under(name: str, patterns: list[str]) -> bool:
    """Whether a module matches or is inside one of a contract; a star stands for one name."""
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") for pattern in patterns)


def test_the_import_contracts_are_kept() -> None:
    pytest.importorskip("importlinter")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True))"]
    answer = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout
    assert "3 kept, 0 broken" in answer.stdout


def test_the_contracts_name_every_module() -> None:
    names = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    ours = [name.removeprefix("edgebert.") for name in (*DEVICE, *FORBIDDEN) if name.startswith("edgebert.")]
    assert sorted(name for name in ours if "." not in name) == sorted(names - {"__init__", "tasks"})
    assert not [path for path in (PACKAGE / "tasks").rglob("*.py") if path.name != "__init__.py" and not side_of(path)]


def side_of(path: Path) -> str:
    """The pattern of a contract, for the device or for training, that matches a file of `tasks/`."""
    name = ".".join(("edgebert", *path.relative_to(PACKAGE).with_suffix("").parts))
    return next((pattern for pattern in (*DEVICE, *FORBIDDEN) if fnmatchcase(name, pattern)), "")


def test_the_device_half_needs_four_packages_at_most() -> None:
    graph = pytest.importorskip("grimp").build_graph("edgebert", include_external_packages=True, cache_dir=None)
    ours = [name for name in graph.modules if name == "edgebert" or is_under(name, DEVICE)]
    used = {found for name in ours for found in graph.find_modules_directly_imported_by(name)}
    outside = {name for name in used if not name.startswith("edgebert")} - set(sys.stdlib_module_names)
    assert outside == required("openvino") == set(CONTRACTS["standard-library"]["forbidden_modules"])
    assert "edgebert.tasks.text_classification.predict" in ours


def test_what_is_sent_to_another_machine_is_the_device_half() -> None:
    left_out = [name.removeprefix("edgebert.") for name in FORBIDDEN if name.startswith("edgebert.")]
    workstation = {name for name in left_out if "." not in name}
    assert {name.removesuffix(".py") for name in LEFT_OUT} == workstation | {"cli", "profiles"}
    assert all((PACKAGE / name).exists() for name in LEFT_OUT - {"profiles"})
    assert {name.removesuffix(".py") for name in TRAINING} == {name.split(".")[-1] for name in left_out if "." in name}


def modules_after(code: str) -> set[str]:
    answer = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(answer.stdout.split("\n"))


def test_import_alone_loads_no_numpy() -> None:
    assert not modules_after("import edgebert") & {"numpy", "onnxruntime", "tokenizers", *HEAVY}


def workstation(loaded: set[str]) -> set[str]:
    """Modules of a process that must not be on a device."""
    return {name for name in loaded if name in HEAVY or is_under(name, WORKSTATION)}


def test_a_prediction_loads_nothing_of_the_workstation(built: Path) -> None:
    loaded = modules_after(f"import edgebert; edgebert.load({str(built)!r})('a good film')")
    assert not workstation(loaded)
    assert "onnxruntime" in loaded


def test_the_device_half_of_every_task_loads_nothing_of_the_workstation() -> None:
    loaded = modules_after("from edgebert.tasks import table; [table.device_task(at) for at in table.task_names()]")
    assert not workstation(loaded)
    assert "edgebert.tasks.text_classification.predict" in loaded


def test_the_command_line_predicts_without_the_workstation(built: Path) -> None:
    code = f"from edgebert.cli import main; main(['predict', {str(built)!r}, 'a good film'])"
    assert not workstation(modules_after(code))


def test_the_public_names_are_these() -> None:
    import edgebert

    assert sorted(edgebert.__all__) == sorted(
        [
            *("BundleError", "BusyError", "CheckpointError", "DataError", "DiskError", "EdgeBertError", "InputError"),
            "FallbackWarning",
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
    assert set(project["tool"]["setuptools"]["packages"]) == packages | {"edgebert.profiles", "edgebert.recipes"}


def test_no_file_and_no_function_outgrows_a_reader() -> None:
    for path in (*PACKAGE.rglob("*.py"), *Path(__file__).parent.rglob("*.py")):
        text = path.read_text()
        assert text.count("\n") <= 400, f"{path.name} is longer than 400 lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno <= 60, f"{path.name}: {node.name} is longer than a screen"
