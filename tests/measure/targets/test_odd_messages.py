"""Unusual messages to the remote end of ssh://: it writes only in its folder, keeps no files, and exits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgebert.measure.targets import keeper
from edgebert.measure.targets.payload import data_files

HELLO = {"op": "hello", "silence_s": 5, "bytes": 1, "modules": ["json"]}


def serve(messages: list[Any], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the remote end on messages, in an empty folder, with temporary files in another one."""
    for name in ("here", "tmp", "home"):
        (tmp_path / name).mkdir()
    variables = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, keeper.__file__],
        input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path / "here",
        env=variables,
        check=False,
    )
    assert not list((tmp_path / "here").iterdir())
    assert not list((tmp_path / "tmp").iterdir())
    return done


@pytest.mark.parametrize(
    "messages",
    [
        [{"op": "run", "job": {}, "timeout_s": 1}],
        [{"op": "ready"}],
        [{"op": "put", "path": "a", "bytes": 1}],
        [HELLO, HELLO],
        [{"op": "hello"}],
        [{**HELLO, "silence_s": "x"}],
        [{**HELLO, "bytes": -1}],
        [{**HELLO, "bytes": "1"}],
        [HELLO, {"op": "run"}],
        [HELLO, {"op": "run", "job": {}, "timeout_s": "x"}],
        [HELLO, {"op": "put", "path": "a", "bytes": -3}],
        [HELLO, {"op": ["run"]}],
        [HELLO, "run"],
    ],
    ids=str,
)
def test_odd_messages_end_the_connection(messages: list[Any], tmp_path: Path) -> None:
    done = serve(messages, tmp_path)
    assert "Traceback" not in done.stderr
    answers = [line for line in done.stdout.splitlines() if line.startswith(keeper.MARK) and '"beat"' not in line]
    assert len(answers) == (messages[0] == HELLO)


def test_only_the_files_of_a_slot_folder_are_sent(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("seq.in", "seq.out", "notes.txt"):
        (folder / name).write_text("a\n")
    (tmp_path / "outside").write_text("b")
    (folder / "zz").symlink_to(tmp_path / "outside")
    files, _ = data_files(folder)
    assert sorted(files) == ["data/dev/seq.in", "data/dev/seq.out"]
