"""Figures about the code, on a small package with known violations."""

import json
import tomllib
from pathlib import Path

import pytest

from bench import house

COUNTED = """from typing import Any


def f(a: Any) -> int:  # noqa: ANN401
    return 1


Anything = 5
"""
WIDE = """class C:
    def f(self, a, b, c, d, e, f):
        pass

    def g(self, a, b, c, *, d, e, f, h):
        pass
"""


def test_what_is_counted_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "edgebert"
    (package / "data").mkdir(parents=True)
    (package / "data" / "a.py").write_text(COUNTED)
    (package / "b.py").write_text(WIDE)
    monkeypatch.setattr(house, "PACKAGE", package)
    monkeypatch.setattr(house, "broken_contracts", list)
    assert {figure.name: (figure.value, figure.places) for figure in house.figures(package)} == {
        "lines with Any": (2, ["data: 2"]),
        "exemptions from ANN401": (1, ["data: 1"]),
        "functions with more than 6 parameters": (1, ["edgebert/b.py:5 g (7)"]),
        "rooms that import upwards": (0, []),
        "lines of the longest file": (8, ["edgebert/data/a.py"]),
    }
    assert house.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out)["functions with more than 6 parameters"] == 1


def test_files_without_a_wide_function_are_not_exempt_from_the_rule() -> None:
    project = tomllib.loads((house.ROOT / "pyproject.toml").read_text())
    exempt = project["tool"]["ruff"]["lint"]["per-file-ignores"]
    wide = [place for path in house.PACKAGE.rglob("*.py") for place in house.wide_functions(path, path.read_text())]
    files = {place.split(":")[0] for place in wide}
    assert {name for name, rules in exempt.items() if name.startswith("edgebert/") and rules == ["PLR0913"]} <= files
