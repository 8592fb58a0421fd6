"""Vendors' tools: their output, and the message if one is missing, fails or does not end."""

from pathlib import Path

import pytest

from edgebert.measure import tool
from edgebert.measure.tool import first_line, tool_text


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, script in {
        "says": 'printf "%s\\n" "$1" two',
        "fails": "echo one; exit 3",
        "endless": "while :; do echo one; done",
        "silent": "exit 0",
        "stuck": "exec sleep 5",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "broken").write_text("")
    (tmp_path / "broken").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return tmp_path


def test_a_tool_is_asked_with_its_arguments(tools: Path) -> None:
    assert tool_text("says", "one") == "one\ntwo\n"


@pytest.mark.parametrize("name", ["nowhere", "fails", "broken"])
def test_one_that_is_not_there_or_fails_says_nothing(name: str, tools: Path) -> None:
    assert tool_text(name) is None


def test_one_that_does_not_end_is_ended(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "TIMEOUT_S", 0.05)
    assert tool_text("stuck") is None


def test_the_first_line_of_an_endless_one_is_enough(tools: Path) -> None:
    assert first_line("endless") == "one\n"
    assert first_line("silent") is None
    assert first_line("nowhere") is None
