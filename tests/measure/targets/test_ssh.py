"""`ssh://` with a fake ssh to this machine: a whole run, refusals, lost connections, cleanup."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from targets_helpers import alive, make_variant, wait_until, write_script

from edgebert.cli import main
from edgebert.errors import DiskError, EdgeBertError, InputError, MissingDependencyError, RunError
from edgebert.measure import process
from edgebert.measure.targets import channel, open_target
from edgebert.measure.targets import ssh as ssh_module
from edgebert.measure.targets.ssh import Address, parse
from edgebert.measure.variants import Variant

NAME = "ssh://pi@board:2222"


def job(variant: Variant, data: Path, scenario: str = "look", **more: Any) -> dict[str, Any]:
    return {"bundle": str(variant.folder), "data": str(data.resolve()), "scenario": scenario, **more}


def refusal(variant: Variant, kind: type[EdgeBertError] = InputError) -> str:
    with pytest.raises(kind) as caught, open_target(NAME, [variant], None, print):
        pass
    assert type(caught.value) is kind
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{NAME}: ")
    return str(caught.value).removeprefix(f"{NAME}: ")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ssh://board", Address("board")),
        ("ssh://pi@board.local/", Address("board.local", "pi")),
        ("ssh://pi@10.0.0.7:2222", Address("10.0.0.7", "pi", 2222)),
        ("ssh://[fe80::1]:22", Address("fe80::1", None, 22)),
    ],
)
def test_an_address_is_read(name: str, address: Address) -> None:
    assert parse(name) == address


@pytest.mark.parametrize(
    "name",
    ["ssh://-oProxyCommand=x", "ssh://-l@board", "ssh://board:0", "ssh://board:65536", "ssh://a b", "ssh://b/folder"],
)
def test_what_is_no_address_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"not an address; expected ssh://\[USER@\]HOST\[:PORT\]"):
        parse(name)


@pytest.mark.usefixtures("stand_in")
def test_a_job_finds_its_bundle_and_its_data_there_and_nothing_stays(
    there: Path, variant: Variant, data: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    other = make_variant(tmp_path / "c" / "tiny", "other")
    with open_target(NAME, [variant, other], data, lines.append) as machine:
        folders = list(there.iterdir())
        answers = [machine.child(job(chosen, data)) for chosen in (variant, other)]
    assert (machine.name, machine.emulated) == (NAME, "")
    assert len(folders) == 1
    assert {answer["folder"] for answer in answers} == {str(folders[0])}
    assert [answer["model"] for answer in answers] == ["model of bundle", "model of other"]
    assert answers[0]["data"] == data.read_text()
    assert 0 < answers[0]["cold_start_ns"] < 60e9
    assert not list(there.iterdir())
    assert lines == [f"{NAME}: copying 0.0 MB"]


@pytest.mark.usefixtures("stand_in", "there")
def test_ssh_is_told_whom_to_connect_to_and_never_to_ask(variant: Variant, tmp_path: Path) -> None:
    with open_target(NAME, [variant], None, print):
        pass
    (call,) = (tmp_path / "ssh.log").read_text().splitlines()
    assert call.endswith(" -p 2222 -l pi -- board")
    for option in ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "ControlPath=none"):
        assert f" -o {option} " in call


@pytest.mark.parametrize(
    ("code", "says", "remedy"),
    [
        (255, "pi@board: Permission denied (publickey).", "give it a key that it takes"),
        (255, "Host key verification failed.", "connect once by hand and check its host key"),
        (255, "ssh: Could not resolve hostname board: Name or service not known", "check the name"),
        (255, "ssh: connect to host board port 22: Connection refused", "check that it is on and the port is right"),
        (255, "ssh: connect to host board port 22: Connection timed out", "check that it is on and the port is right"),
    ],
)
@pytest.mark.usefixtures("there")
def test_a_machine_that_does_not_let_us_in_is_told(
    code: int, says: str, remedy: str, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SSH_REFUSES", f"{code}:{says}")
    told = refusal(variant)
    assert told.startswith(f"no connection ({says}); ")
    assert remedy in told


@pytest.mark.usefixtures("there")
def test_a_user_without_a_shell_is_told(variant: Variant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SSH_REFUSES", "1:This account is currently not available.")
    told = refusal(variant)
    assert told == "no program can be run there (This account is currently not available.); give a user with a shell"


@pytest.mark.usefixtures("there")
def test_no_python_there_is_told(variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write_script(tmp_path / "old python", "#!/bin/sh\nexit 1\n")
    for python in ("/no/python", str(old)):
        monkeypatch.setenv("EDGEBERT_PYTHON", python)
        told = f"no Python 3.11 or newer there ({python}); install one, or set EDGEBERT_PYTHON to its path there"
        assert refusal(variant) == told


@pytest.mark.usefixtures("stand_in", "there")
def test_a_python_is_looked_for_where_none_is_named(
    variant: Variant, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGEBERT_PYTHON")
    write_script(tmp_path / "bin" / "python3", "#!/bin/sh\nexit 1\n")
    write_script(tmp_path / "bin" / "python3.14", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    with open_target(NAME, [variant], data, print) as machine:
        assert machine.child(job(variant, data))["model"] == "model of bundle"


def test_no_ssh_here_is_told(variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(variant) == "there is no ssh on this machine; install OpenSSH's client"


def test_a_missing_wheel_is_told_with_the_command_that_installs_it(
    there: Path, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "tokenizers.py").write_text("raise ModuleNotFoundError(\"No module named 'tokenizers'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    told = refusal(variant, MissingDependencyError)
    assert told == (
        f"ModuleNotFoundError: No module named 'tokenizers' ({sys.executable}); "
        f"there: {sys.executable} -m pip install numpy onnxruntime tokenizers"
    )
    assert not list(there.iterdir())


@pytest.mark.usefixtures("there")
def test_openvino_is_asked_for_where_a_variant_runs_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "openvino.py").write_text("raise ImportError('no openvino')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    told = refusal(make_variant(tmp_path / "o", runtime="openvino"), MissingDependencyError)
    assert told.endswith("-m pip install numpy onnxruntime tokenizers openvino")


@pytest.mark.parametrize(("old", "new"), [('"x86_64"', '"armv7l"'), ('"bits": 64', '"bits": 32')])
def test_a_machine_without_wheels_is_told(
    old: str, new: str, there: Path, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SSH_REPLACES", f"{old.replace('x86_64', os.uname().machine)}={new}")
    told = refusal(variant)
    assert "only has wheels for 64-bit x86_64 and aarch64; install a 64-bit system there" in told
    assert new.strip('"').replace('bits": ', "") in told
    assert not list(there.iterdir())


@pytest.mark.usefixtures("there", "stand_in")
def test_a_bundle_for_another_machine_is_measured_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = os.uname().machine
    lines: list[str] = []
    fitting = make_variant(tmp_path / "a", "fits", profile={"machine": here, "name": "this"})
    other = make_variant(tmp_path / "c", "other", profile={"machine": "riscv64", "name": "some-board"})
    with open_target(NAME, [fitting, other], None, lines.append):
        pass
    assert [line for line in lines if "note" in line] == [
        f"note: other was exported for some-board (riscv64), {NAME} is {here}; it may be slower or less accurate there"
    ]


def test_too_little_room_is_told_before_anything_is_copied(
    there: Path, variant: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_module, "MARGIN_BYTES", 1 << 60)
    told = refusal(variant, DiskError)
    assert told.startswith("no room there (")
    assert re.search(r"\d MB free, 1152921504\d{3} MB needed\); free some space", told)
    assert not list(there.iterdir())


@pytest.mark.usefixtures("stand_in")
def test_a_disk_that_fills_up_while_copying_is_told(
    there: Path, variant: Variant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (variant.folder / "model.onnx").write_bytes(bytes(3_000_000))
    monkeypatch.setenv("FAKE_SSH_PREFIX", "ulimit -f 1024; ")
    assert refusal(variant, DiskError) == "no room there (File too large); free some space, or give another machine"
    assert not list(there.iterdir())


@pytest.mark.usefixtures("stand_in", "there")
def test_a_disk_that_fills_up_after_copying_is_told_and_the_machine_goes_on(
    variant: Variant, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SSH_PREFIX", "ulimit -f 1024; ")
    with open_target(NAME, [variant], data, print) as machine:
        with pytest.raises(DiskError) as caught:
            machine.child(job(variant, data, texts="x" * 3_000_000))
        assert str(caught.value) == f"{NAME}: no room there (File too large); free some space, or give another machine"
        with pytest.raises(DiskError, match=r"no room there \(OSError: .*File too large\)"):
            machine.child(job(variant, data, "long"))
        assert machine.child(job(variant, data))["model"] == "model of bundle"


@pytest.mark.usefixtures("stand_in", "there")
def test_a_process_that_fails_there_gives_its_last_line_and_the_next_one_runs(variant: Variant, data: Path) -> None:
    with open_target(NAME, [variant], data, print) as machine:
        with pytest.raises(RunError) as caught:
            machine.child(job(variant, data, "fail"))
        assert str(caught.value) == f"{variant.folder}: fail failed: the last line"
        assert machine.child(job(variant, data))["model"] == "model of bundle"


@pytest.mark.usefixtures("stand_in", "there")
def test_a_process_that_takes_too_long_there_is_stopped(
    variant: Variant, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "TIMEOUT_S", 1)
    pid_file = tmp_path / "pid"
    with open_target(NAME, [variant], data, print) as machine:
        with pytest.raises(RunError, match="sleep took more than 1 s; give fewer samples"):
            machine.child(job(variant, data, "sleep", pid_file=str(pid_file)))
        assert not alive(int(pid_file.read_text()))
        assert machine.child(job(variant, data))["model"] == "model of bundle"


@pytest.mark.usefixtures("stand_in")
def test_a_connection_cut_in_the_middle_of_a_job_ends_what_runs_there(
    there: Path, variant: Variant, data: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"

    def cut() -> None:
        wait_until(pid_file.exists)
        os.kill(int((tmp_path / "ssh.log").read_text().split()[0]), signal.SIGKILL)

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(RunError) as caught, open_target(NAME, [variant], data, print) as machine:
        machine.child(job(variant, data, "sleep", pid_file=str(pid_file)))
    thread.join()
    assert caught.value.exit_code == 1
    assert str(caught.value).startswith(f"{NAME}: connection lost (")
    assert str(caught.value).endswith("; run the same command again")
    assert "kept" not in str(caught.value)  # `bench` says whether anything was measured
    assert "\n" not in str(caught.value)
    assert wait_until(lambda: not alive(int(pid_file.read_text())))
    assert wait_until(lambda: not list(there.iterdir()))


@pytest.mark.usefixtures("stand_in")
def test_ctrl_c_leaves_nothing_there(there: Path, variant: Variant, data: Path) -> None:
    def interrupted() -> None:
        with open_target(NAME, [variant], data, print) as machine:
            machine.child(job(variant, data))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(there.iterdir())


# A process of its own is interrupted, not the one that runs the tests; behind nohup signals would be ignored there.
INTERRUPTED = """
import json, signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
from targets_helpers import alive, make_variant
from edgebert.measure.targets import open_target, ssh
name, folder, data, pid_file = sys.argv[1], *map(Path, sys.argv[2:])
half = folder / "half"
files = {str(path.relative_to(half)): path for path in half.rglob("*.py")}
ssh.device_half = lambda: files
variant = make_variant(folder / "interrupted")
job = {"bundle": str(variant.folder), "data": str(data), "scenario": "sleep", "pid_file": str(pid_file)}
with open_target(name, [variant], data, lambda line: None) as machine:
    try:
        machine.child(job)
    except KeyboardInterrupt:
        print(json.dumps([alive(int(pid_file.read_text())), machine.environment()]))
"""


@pytest.mark.usefixtures("stand_in")
def test_ctrl_c_in_the_middle_of_a_job_asks_nothing_more_of_the_machine(
    there: Path, data: Path, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"
    command = [sys.executable, "-c", INTERRUPTED, NAME, str(tmp_path), str(data), str(pid_file)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as bench:
        assert wait_until(pid_file.exists)
        bench.send_signal(signal.SIGINT)
        out, _ = bench.communicate(timeout=60)
    # What ran there went on until the connection was closed, and then ended.
    assert json.loads(out) == [True, {}]
    assert bench.returncode == 0
    assert not alive(int(pid_file.read_text()))
    assert not list(there.iterdir())


@pytest.mark.usefixtures("stand_in")
def test_a_far_end_that_hears_nothing_for_long_ends_by_itself(
    there: Path, variant: Variant, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_module, "SILENCE_S", 0.3)
    with open_target(NAME, [variant], data, print) as machine:
        assert wait_until(lambda: not list(there.iterdir()))
        with pytest.raises(RunError, match="connection lost"):
            machine.child(job(variant, data))


@pytest.mark.usefixtures("stand_in")
def test_signs_of_life_keep_the_far_end(
    there: Path, variant: Variant, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_module, "SILENCE_S", 0.5)
    monkeypatch.setattr(channel, "BEAT_S", 0.05)
    with open_target(NAME, [variant], data, print) as machine:
        assert not wait_until(lambda: not list(there.iterdir()), 1.5)
        assert machine.child(job(variant, data))["model"] == "model of bundle"


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("code", ["255", "0"])
def test_a_far_end_that_is_killed_has_its_folder_removed_all_the_same(
    code: str, there: Path, variant: Variant, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SSH_CODE", code)
    monkeypatch.setenv("FAKE_SSH_PREFIX", f"echo $$ > {tmp_path / 'far'}; ")
    with open_target(NAME, [variant], data, print) as machine:
        os.kill(int((tmp_path / "far").read_text()), signal.SIGKILL)
        with pytest.raises(RunError, match="connection lost"):
            machine.child(job(variant, data))
    assert len((tmp_path / "ssh.log").read_text().splitlines()) == 2
    assert not list(there.iterdir())


SUITE = 'scenarios = ["single_stream"]\nrounds = 2\nsamples = 10\nwarmup = 1\n'


@pytest.mark.slow
def test_bench_runs_there_and_keeps_what_is_done_when_the_connection_is_cut(
    built: Path,
    data_dir: Path,
    there: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "s.toml").write_text(SUITE)
    out = tmp_path / "out"
    command = ["bench", str(built), "--data", str(data_dir / "test.tsv"), "--suite", str(tmp_path / "s.toml")]
    command += ["--target", NAME, "--out", str(out)]
    assert main(command) == 0
    capsys.readouterr()
    document = json.loads((out / "result.json").read_text())
    assert document["environment"]["machine"] == os.uname().machine
    assert [(case["target"], case["variant"], case["samples"]) for case in document["cases"]] == [
        (NAME, "fp32", 20),
        (NAME, "bundle", 20),
    ]
    assert all(case["p50_ms"] > 0 and case["cold_start_ms"] > case["first_ms"] for case in document["cases"])
    assert document["cases"][1]["quality"]["n"] == 64
    # Two lines before the environment, one of it, two of quality, two of memory, two of the first round.
    monkeypatch.setenv("FAKE_SSH_LINES", "9")
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.out == ""
    last = told.err.splitlines()[-1]
    assert last.startswith(
        f"edgebert: {NAME}: connection lost (Connection to there closed by remote host.); processes "
    )
    assert last.endswith(f"; results so far are kept in {out / 'result.json'}")
    assert [case["samples"] for case in json.loads((out / "result.json").read_text())["cases"]] == [10, 10]
    assert wait_until(lambda: not list(there.iterdir()))
