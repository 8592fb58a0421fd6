"""`edgebert predict --jsonl`: one JSON object per line, each written before the next text is read."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

import edgebert


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("bundle"))


def test_each_line_is_the_object_that_json_has(small: Path, run: Run) -> None:
    texts = ["a b", "a b a b a b", "a\u2028b\x85a", "a\nb"]
    code, out, err = run("predict", small, *texts, "--jsonl")
    assert (code, err) == (0, "")
    # Readers that split lines at all Unicode line ends get the same lines.
    rows = [json.loads(line) for line in out.splitlines()]
    assert out.count("\n") == 4
    assert rows == json.loads(run("predict", small, *texts, "--json")[1])
    assert rows == [{"text": text, **edgebert.load(small)(text).to_dict()} for text in texts]


@pytest.mark.skipif(sys.platform == "win32", reason="select waits for sockets alone on Windows")
def test_an_answer_comes_before_the_next_text(small: Path) -> None:
    command = [sys.executable, "-m", "edgebert.cli", "predict", str(small), "--jsonl"]
    # stdout to a pipe is buffered in blocks unless each line is flushed.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for text in ("a b", "b"):
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 60)[0], "no answer within a minute"
            assert json.loads(process.stdout.readline())["text"] == text
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_both_forms_of_json_are_refused(tmp_path: Path, run: Run) -> None:
    answer = run("predict", tmp_path, "a", "--json", "--jsonl")
    assert refused(answer) == "both --json and --jsonl are given; give one of them"
