"""Invalid arguments are refused with one line, before any work starts."""

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

VALUES = {
    "export": ("model", "data-dir", "profile", "out", "work", "set"),
    "predict": ("text-pair", "context", "input", "text-column", "pair-column", "delimiter", "runtime", "threads"),
    "evaluate": ("data", "text-column", "pair-column", "label-column", "tags-column", "runtime", "threads"),
    "bench": ("data", "suite", "baseline", "estimate", "target", "out", "fail-if", "label-column", "delimiter"),
    "report": ("out",),
    "verify": ("hash",),
}


@pytest.mark.parametrize(("command", "option"), [(command, name) for command in VALUES for name in VALUES[command]])
def test_two_hyphens_are_no_value(command: str, option: str, tmp_path: Path, run: Run) -> None:
    told = refused(run(command, tmp_path, f"--{option}=--"))
    assert told == f"argument --{option}=--: the value is --, which ends the options; give another value"


def test_two_hyphens_may_stand_in_a_text_behind_the_options(tmp_path: Path, run: Run) -> None:
    code, out, _ = run("predict", write_small_bundle(tmp_path / "b"), "--", "--x=--")
    assert code == 0
    assert out.endswith("\t--x=--\n")


@pytest.mark.parametrize(("command", "option"), [(command, name) for command in VALUES for name in VALUES[command]])
def test_an_empty_value_is_not_the_same_as_none(command: str, option: str, tmp_path: Path, run: Run) -> None:
    told = f"argument --{option} is empty; give a value or leave it out"
    if option not in ("text-pair", "context"):
        assert refused(run(command, tmp_path, f"--{option}=")) == told
        assert refused(run(command, tmp_path, f"--{option}", " ")) == told
    else:
        assert "no manifest.json" in refused(run(command, tmp_path, f"--{option}=", "a"))


@pytest.mark.parametrize(
    "command", ["export", "predict", "evaluate", "bench", "report", "inspect", "verify", "profiles"]
)
def test_a_folder_called_nothing_is_not_the_current_one(command: str, run: Run) -> None:
    more = ["--data", "x"] if command == "evaluate" else []
    assert refused(run(command, "", *more)).endswith(" is empty; give a name")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["predict", "b", "--runtime", "\x1b[31m"], r"argument --runtime: invalid choice: '\x1b[31m'"),
        (["predict", "b", "--threads", "1\x1b2"], r"argument --threads: invalid int value: '1\x1b2'"),
        (["bench", "b", "--a\x1b\nb"], r"unrecognized arguments: --a\x1b\nb; see edgebert bench --help"),
        (["\x1b\nfly"], r"argument COMMAND: invalid choice: '\x1b\nfly'"),
        (["predict", "b", "--no-header=\x1b\r"], r"argument --no-header: ignored explicit argument '\x1b\r'"),
        (["predict", "b", "--te=\x1b"], r"ambiguous option: --te=\x1b could match --text-pair, --text-column"),
        (["bench", "b", "--" + "x" * 9000], "unrecognized arguments: --xxx"),
        (["predict", "b", "--threads", "9" * 9000], "argument --threads: invalid int value: '999"),
    ],
)
def test_wrong_use_is_said_in_a_line_that_no_terminal_obeys(arguments: list[str], says: str, run: Run) -> None:
    told = refused(run(*arguments))
    assert told.startswith(says)
    assert told.isprintable()
    assert len(told) < 2100


def test_the_package_runs_as_the_command_does() -> None:
    ended = subprocess.run([sys.executable, "-m", "edgebert", "fly"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("edgebert: argument COMMAND: invalid choice: 'fly'")
