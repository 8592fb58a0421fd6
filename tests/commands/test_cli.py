"""The command line as a whole: help, wrong use, exit codes."""

from pathlib import Path

import pytest
from command_line import Run, refused

from edgebert import cli

COMMANDS = ["export", "predict", "evaluate", "bench", "report", "inspect", "verify", "profiles", "doctor"]


def test_no_command_is_wrong_use_and_shows_the_help(run: Run) -> None:
    code, out, err = run()
    assert (code, out) == (2, "")
    for command in COMMANDS:
        assert f"    {command} " in err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(command: str, run: Run) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, "")
    assert f"Example: edgebert {command}" in out


WRONG = [["fly"], ["predict"], ["evaluate", "x"], ["predict", "x", "--runtime", "y"], ["verify", "x", "--fast"]]


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_ends_with_2_and_says_why(arguments: list[str], run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "error: " in err.splitlines()[-1]


@pytest.mark.parametrize("command", ["predict", "inspect", "verify", "bench"])
def test_what_is_no_bundle_is_one_line(command: str, tmp_path: Path, run: Run) -> None:
    assert "no manifest.json" in refused(run(command, tmp_path))


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["export", "x.toml"], "; finished work is kept, the same command continues it"),
        (["bench", "x"], "; what was measured is kept in the result folder"),
        (["predict", "x"], ""),
    ],
)
def test_ctrl_c_says_what_is_kept(arguments: list[str], kept: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert run(*arguments) == (1, "", f"edgebert: interrupted{kept}\n")
