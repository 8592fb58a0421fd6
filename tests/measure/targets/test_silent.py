"""An ssh remote end that stops responding, never answers, or never finishes an answer."""

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from targets_helpers import alive, make_variant, wait_until, write_script

from edgebert.errors import InputError, RunError, TargetError
from edgebert.measure import process
from edgebert.measure.targets import channel, open_target
from edgebert.measure.targets import ssh as ssh_module
from edgebert.measure.targets.channel import Channel
from edgebert.measure.variants import Variant

NAME = "ssh://pi@board"
GREETING = (
    '\'edgebert: {"folder": "/tmp/edgebert-abcd1234", "free_bytes": 1000000000, "machine": "x86_64", '
    '"bits": 64, "python": "python3", "import_error": ""}\''
)
SILENT = "time.sleep(600)"
CHATS = "while True: print('x', flush=True); time.sleep(0.01)"
BEGINS = "print('edgebert: {\"beat\": true}', flush=True); time.sleep(600)"
STARTS_NOT = "EdgeBERT's program has not started there within 0 s; check that the machine is not stuck"
BEATS = "while True: print('edgebert: {\"beat\": true}', flush=True); time.sleep(0.01)"
ENDLESS = "while True: sys.stdout.write('x' * 65536)"
ENDLESS_ANSWER = "sys.stdout.write('edgebert: ')\n" + ENDLESS
DEAF = f"print({GREETING}, flush=True)\n{SILENT}"


def short(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    for name, limit in limits.items():
        monkeypatch.setattr(channel, name, limit)


def write_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """An ssh that runs a script instead of the remote command; returns the file with its process number."""
    lines = f"import os, sys, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n{script}\n"
    write_script(tmp_path / "bin" / "ssh", f"#!{sys.executable} -IS\n{lines}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return tmp_path / "pid"


@pytest.mark.parametrize(
    ("script", "limit", "says"),
    [
        (
            BEGINS,
            {"PATIENCE_S": 0.5},
            "the machine has sent no heartbeat for 0 s; check that it is not stuck, then run",
        ),
        (SILENT, {"PATIENCE_S": 0.5}, STARTS_NOT),
        (SILENT, {"START_S": 0.5}, STARTS_NOT),
        (CHATS, {"START_S": 0.5}, STARTS_NOT),
        (BEATS, {"MARGIN_S": 0.5}, "the machine has not answered within 0 s; check that it is not stuck, then run"),
        (ENDLESS, {"MAX_LINE": 1 << 20}, "a line of more than 1 MB; check what its login scripts write, or measure"),
        (ENDLESS_ANSWER, {"MAX_LINE": 1 << 20}, "a line of more than 1 MB; check what its login scripts write"),
        (DEAF, {"PATIENCE_S": 3.0}, "the machine has read nothing for 3 s; check that it is not stuck, then run"),
    ],
    ids=["silent", "never starts", "starts late", "chats", "beats", "endless", "endless answer", "deaf"],
)
@pytest.mark.usefixtures("stand_in")
def test_a_machine_that_never_comes_to_an_answer_is_left(
    script: str, limit: dict[str, float], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = make_variant(tmp_path / "b")
    (variant.folder / "model.onnx").write_bytes(bytes(1_000_000))
    pid_file = write_ssh(tmp_path, monkeypatch, script)
    short(monkeypatch, CLOSE_S=0.2, **limit)
    with pytest.raises(TargetError) as caught, open_target(NAME, [variant], None, print):
        pass
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith((f"{NAME}: the machine ", f"{NAME}: EdgeBERT's program "))
    assert says in str(caught.value)
    assert not alive(int(pid_file.read_text()))


def test_a_complaint_of_any_length_is_shown_in_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ssh(tmp_path, monkeypatch, "sys.stderr.write('x' * 1_000_000 + ' the end')\nsys.exit(255)")
    with pytest.raises(InputError, match="no connection") as caught, open_target(NAME, [], None, print):
        pass
    assert len(str(caught.value)) < 1000


def job(variant: Variant, pid_file: Path) -> dict[str, Any]:
    return {"bundle": str(variant.folder), "scenario": "sleep", "pid_file": str(pid_file)}


@pytest.mark.usefixtures("stand_in")
def test_a_machine_that_falls_silent_in_a_job_is_left_and_its_folder_removed(
    there: Path, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SSH_PREFIX", f"[ -e {tmp_path / 'far'} ] || echo $$ > {tmp_path / 'far'}; ")
    pid_file = tmp_path / "pid"

    def stop() -> None:
        wait_until(pid_file.exists)
        os.kill(int((tmp_path / "far").read_text()), signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    short(monkeypatch, CLOSE_S=0.2)

    def measured() -> None:
        with open_target(NAME, [variant], None, print) as machine:
            monkeypatch.setattr(channel, "PATIENCE_S", 1.0)  # starting it may take longer than that
            machine.child(job(variant, pid_file))

    with pytest.raises(TargetError, match="no heartbeat") as caught:
        measured()
    thread.join()
    os.kill(int(pid_file.read_text()), signal.SIGKILL)  # its keeper was stopped, so nobody could end it
    assert str(caught.value).startswith(f"{NAME}: ")
    assert not list(there.iterdir())
    assert not alive(int((tmp_path / "far").read_text()))


@pytest.mark.usefixtures("stand_in", "there")
def test_a_long_job_is_waited_for_while_there_are_signs_of_life(
    variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_module, "SILENCE_S", 8.0)
    monkeypatch.setattr(process, "TIMEOUT_S", 5)
    short(monkeypatch, BEAT_S=0.1)
    with open_target(NAME, [variant], None, print) as machine:
        monkeypatch.setattr(channel, "PATIENCE_S", 3.0)
        with pytest.raises(RunError, match="sleep took more than 5 s"):
            machine.child(job(variant, tmp_path / "pid"))


def test_a_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(bytes(10))
    sent = Channel("x", ["cat"])
    try:
        with pytest.raises(InputError, match=r"model\.onnx: became shorter while it was copied; run the same"):
            sent.tell({"op": "put", "path": "model.onnx", "bytes": 11}, tmp_path / "model.onnx", 11)
    finally:
        sent.close()
