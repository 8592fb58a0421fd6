"""The command line: help, invalid usage, exit codes."""

import io
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

from edgebert import cli
from edgebert.streams import logged

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


WRONG = [["fly"], ["evaluate", "x"], ["predict", "x", "--runtime", "y"], ["verify", "x", "--fast"]]
WRONG += [[command] for command in COMMANDS if command not in ("profiles", "doctor")]
WRONG += [["profiles", "a", "b"], ["doctor", "a"], ["inspect", "a", "--json=3"], ["predict", "a", "--threads=1e3"]]
WRONG += [["predict", "a", "--te", "b"], ["bench", "a", "--suite"], ["bench", "a", "--delimiter", "space"]]


@pytest.mark.parametrize("arguments", WRONG)
def test_wrong_use_ends_with_2_and_says_why(arguments: list[str], run: Run) -> None:
    command = f"edgebert {arguments[0]}" if arguments[0] in COMMANDS else "edgebert"
    assert refused(run(*arguments)).endswith(f"; see {command} --help")


@pytest.mark.parametrize("command", ["predict", "inspect", "verify", "bench"])
def test_what_is_no_bundle_is_one_line(command: str, tmp_path: Path, run: Run) -> None:
    assert "no manifest.json" in refused(run(command, tmp_path))


@pytest.mark.parametrize(
    "arguments",
    [["report", "x" * 5000], ["verify", "x" * 5000], ["profiles", "x" * 5000 + ".toml"], ["bench", "x" * 5000]],
)
def test_a_name_that_is_too_long_for_a_file_is_one_short_line(arguments: list[str], run: Run) -> None:
    assert len(refused(run(*arguments))) < 4_200


def test_a_data_file_whose_name_is_too_long_is_one_short_line(tmp_path: Path, run: Run) -> None:
    bundle = write_small_bundle(tmp_path / "b")
    for arguments in (["predict", bundle, "--input"], ["evaluate", bundle, "--data"], ["bench", bundle, "--data"]):
        told = refused(run(*map(str, arguments), "x" * 5000 + ".tsv"))
        assert "File name too long" in told
        assert len(told) < 4_200


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["export", "x.toml"], "; finished work is kept, the same command continues it"),
        (["bench", "x"], "; results so far are kept in the result folder"),
        (["predict", "x"], ""),
    ],
)
def test_ctrl_c_says_what_is_kept(arguments: list[str], kept: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(given: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupted)
    assert run(*arguments) == (1, "", f"edgebert: interrupted{kept}\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["predict", "b\udcff", "a"], r"argument 'b\udcff' is not UTF-8; "),
        (["export", "x.toml", "--set", "name=\udcff"], r"argument --set 'name=\udcff' is not UTF-8; "),
        (["export", "x.toml", "--out=o\udcff"], r"argument '--out=o\udcff' is not UTF-8; "),
        (["evaluate", "b", "--data", "a\0.tsv"], r"argument --data 'a\x00.tsv' holds the character U+0000; "),
    ],
)
def test_an_argument_that_is_not_utf_8_is_refused_before_any_work(arguments: list[str], named: str, run: Run) -> None:
    assert refused(run(*arguments)).startswith(named)


CLOSED = "standard output is closed; send it to a file or to /dev/null"
FULL = "standard output cannot be written (No space left on device); send it somewhere else"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a shell and a device that is always full")
@pytest.mark.parametrize(
    ("command", "streams", "code", "told"),
    [
        ("verify BUNDLE", ">&-", 2, CLOSED),
        ("verify BUNDLE", ">/dev/full", 2, FULL),
        ("predict BUNDLE a", ">/dev/full", 2, FULL),
        ("verify nowhere", "2>&-", 2, ""),
        ("verify nowhere", "2>/dev/full", 2, ""),
        ("verify BUNDLE", ">/dev/null 2>&-", 0, ""),
    ],
)
def test_a_stream_that_is_closed_or_full(command: str, streams: str, code: int, told: str, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "b")
    line = (
        f"unset PYTHONUNBUFFERED; '{sys.executable}' -m edgebert.cli {command.replace('BUNDLE', str(bundle))} {streams}"
    )
    ended = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "", f"edgebert: {told}\n" if told else "")


def test_a_very_long_name_is_cut_where_it_is_shown(tmp_path: Path, run: Run) -> None:
    code, out, _ = run("inspect", write_small_bundle(tmp_path / "b", name="x" * 100_000))
    assert code == 0
    assert "x…" in out
    assert len(out) < 3_000


def test_a_library_that_configures_logging_does_not_show_lines_twice(capsys: pytest.CaptureFixture[str]) -> None:
    heard = io.StringIO()
    root = logging.StreamHandler(heard)
    with logged():
        logging.getLogger().addHandler(root)
        try:
            logging.getLogger("edgebert.workdir").info("quantize: running")
        finally:
            logging.getLogger().removeHandler(root)
    assert capsys.readouterr().err == "quantize: running\n"
    assert heard.getvalue() == ""
