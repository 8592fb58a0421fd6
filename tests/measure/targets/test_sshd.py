"""`ssh://` against a real sshd on loopback, under a user of its own: one that the test makes and removes again.

It changes the machine's accounts, so it runs only if asked for: EDGEBERT_TEST_SYSTEM=1.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
from targets_helpers import alive, make_variant, wait_until, write_script

from edgebert.cli import main
from edgebert.errors import InputError, RunError
from edgebert.measure.targets import open_target

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
USER = "edgebert-test"

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("EDGEBERT_TEST_SYSTEM") != "1", reason="adds a user; EDGEBERT_TEST_SYSTEM=1 lets it"
    ),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can make a user"),
    pytest.mark.skipif(SSHD is None, reason="no sshd here; install openssh-server"),
    pytest.mark.skipif(shutil.which("useradd") is None, reason="no useradd here"),
]

SSHD_CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {root}/host
PidFile none
AuthorizedKeysFile {root}/host_keys/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv TMPDIR={root}/home/tmp
"""
SSH_CONFIG = """
IdentityFile {root}/client
IdentitiesOnly yes
UserKnownHostsFile {root}/known_hosts
GlobalKnownHostsFile /dev/null
"""


@dataclass
class Far:
    """The machine of the sshd."""

    root: Path
    port: int
    sshd: int

    @property
    def name(self) -> str:
        return f"ssh://{USER}@127.0.0.1:{self.port}"

    @property
    def temporary(self) -> Path:
        return self.root / "home" / "tmp"

    def processes(self) -> list[int]:
        """Processes of the user there."""
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*") if owner(path) == USER]
        return [pid for pid in pids if alive(pid)]


def owner(path: Path) -> str:
    try:
        return path.owner()
    except (OSError, KeyError):
        return ""


def run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def python_for_others(root: Path) -> Path:
    """A Python that the other user can run and that has the wheels."""
    site = Path(numpy.__file__).parent.parent
    own = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, own):
        text = f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{site}" exec {python} "$@"\n'
        script = write_script(root / "python", text)
        command = ["runuser", "-u", USER, "--", str(script), "-c", "import numpy, onnxruntime, tokenizers"]
        if not subprocess.run(command, capture_output=True, check=False, cwd="/").returncode:
            return script
    pytest.skip("no Python that another user can run has onnxruntime")


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def sshd() -> Iterator[Far]:
    """A server with its own host key, a user with a key of its own, and a client configuration that knows both."""
    root = Path(tempfile.mkdtemp(prefix="edgebert-sshd-"))
    root.chmod(0o755)
    home = root / "home"
    subprocess.run(["userdel", "--force", USER], capture_output=True, check=False)
    run("useradd", "--no-create-home", "--home-dir", home, "--shell", "/bin/sh", "--password", "*", USER)
    try:
        for folder in (home, home / "tmp"):
            folder.mkdir()
            shutil.chown(folder, USER)
        for key in ("host", "client", "stranger"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / key)
        (root / "host_keys").mkdir()
        shutil.copy(root / "client.pub", root / "host_keys" / "authorized")
        port = free_port()
        kind, key, *_ = (root / "host.pub").read_text().split()
        (root / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")
        (root / "sshd_config").write_text(SSHD_CONFIG.format(port=port, root=root))
        Path("/run/sshd").mkdir(exist_ok=True)
        command = [str(SSHD), "-D", "-e", "-f", str(root / "sshd_config")]
        with (root / "sshd.log").open("wb") as log:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log)
        try:
            assert wait_until(lambda: answers(port)), (root / "sshd.log").read_text()
            python_for_others(root)
            yield Far(root, port, server.pid)
        finally:
            server.terminate()
            server.wait()
    finally:
        run("userdel", "--force", USER)
        shutil.rmtree(root)


@pytest.fixture
def far(sshd: Far, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Far:
    """The same, with an `ssh` on the path that uses its configuration."""
    (tmp_path / "ssh_config").write_text(SSH_CONFIG.format(root=sshd.root))
    write_script(tmp_path / "bin" / "ssh", f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/ssh_config "$@"\n')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("EDGEBERT_PYTHON", str(sshd.root / "python"))
    return sshd


def clean(far: Far) -> bool:
    return not list(far.temporary.iterdir()) and not far.processes()


def job(far: Far, tmp_path: Path, scenario: str) -> dict[str, Any]:
    return {"bundle": str(tmp_path / "b"), "scenario": scenario, "pid_file": str(far.root / "home" / "pid")}


def test_bench_measures_as_the_other_user_and_leaves_nothing(
    far: Far, built: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "s.toml").write_text('scenarios = ["single_stream"]\nrounds = 2\nsamples = 10\nwarmup = 1\n')
    command = ["bench", str(built), "--data", str(data_dir / "test.tsv"), "--suite", str(tmp_path / "s.toml")]
    assert main([*command, "--target", far.name, "--out", str(tmp_path / "out"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(case["target"], case["samples"]) for case in document["cases"]] == [(far.name, 20)] * 2
    assert document["environment"]["versions"]["onnxruntime"]
    assert wait_until(lambda: clean(far))


@pytest.mark.parametrize(
    ("line", "says", "remedy"),
    [
        ("IdentityFile {root}/stranger", "Permission denied (publickey).", "give it a key that it takes"),
        ("UserKnownHostsFile /dev/null", "Host key verification failed.", "connect once by hand"),
    ],
)
def test_a_wrong_key_on_either_side_is_told(line: str, says: str, remedy: str, far: Far, tmp_path: Path) -> None:
    config = tmp_path / "ssh_config"
    keyword = line.split()[0]
    lines = [kept for kept in config.read_text().splitlines() if not kept.startswith(keyword)]
    config.write_text("\n".join([*lines, line.format(root=far.root)]) + "\n")
    with pytest.raises(InputError) as caught, open_target(far.name, [make_variant(tmp_path / "b")], None, print):
        pass
    assert says in str(caught.value)
    assert remedy in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_listening_is_told(far: Far, tmp_path: Path) -> None:
    name = f"ssh://{USER}@127.0.0.1:{free_port()}"
    with (
        pytest.raises(InputError, match="Connection refused"),
        open_target(name, [make_variant(tmp_path / "b")], None, print),
    ):
        pass


@pytest.mark.usefixtures("stand_in")
def test_a_connection_cut_by_the_server_leaves_nothing_running_there(far: Far, tmp_path: Path) -> None:
    pid_file = far.root / "home" / "pid"

    def cut() -> None:
        wait_until(pid_file.exists)
        # All of them first: what a killed one has started no longer descends from the server.
        sessions = [
            int(path.name)
            for path in Path("/proc").glob("[0-9]*")
            if descends_from(int(path.name), far.sshd) and (path / "comm").read_text().startswith("sshd")
        ]
        for pid in sessions:
            os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=cut)
    thread.start()
    with (
        pytest.raises(RunError) as caught,
        open_target(far.name, [make_variant(tmp_path / "b")], None, print) as machine,
    ):
        machine.child(job(far, tmp_path, "sleep"))
    thread.join()
    assert str(caught.value).startswith(f"{far.name}: connection lost (")
    assert wait_until(lambda: not alive(int(pid_file.read_text())))
    assert wait_until(lambda: clean(far))


def descends_from(pid: int, ancestor: int) -> bool:
    """Whether a process was started by another, or by one that it started."""
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
        if pid == ancestor:
            return True
    return False
