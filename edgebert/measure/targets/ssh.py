"""`ssh://`: measure on another machine over plain OpenSSH; it only needs Python and wheels.

One connection carries everything: the program there (`keeper.py`), the device half, the bundles, every job and every
answer. Processes there end with the connection, so a machine that can no longer be reached cleans up by itself.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgebert import __version__
from edgebert.errors import DiskError, InputError, MissingDependencyError, RunError, TargetError
from edgebert.escape import shortened
from edgebert.measure import process
from edgebert.measure.job import Answer, Environment, Job
from edgebert.measure.received import environment_of, is_count
from edgebert.measure.targets.channel import Channel, Lost
from edgebert.measure.targets.machine import Machine, Progress
from edgebert.measure.targets.payload import Files, bundle_files, core_library, data_files, device_half
from edgebert.measure.variants import Variant
from edgebert.runtimes import ONNXRUNTIME, RUNTIMES
from edgebert.settings import fill
from edgebert.strict_json import Json, as_json

MACHINES = ("x86_64", "aarch64")
MARGIN_BYTES = 32_000_000
SILENCE_S = 60.0
NO_PYTHON = 96
PYTHONS = '"${EDGEBERT_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11'
OPTIONS = ["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=4"]
OPTIONS += ["ControlMaster=no", "ControlPath=none", "ClearAllForwardings=yes", "ForwardAgent=no"]
# Values of the keeper's greeting. Its folder must look like one from tempfile: an absolute path without "..", with
# EdgeBERT's prefix last, in printable ASCII, so that it can be shown and passed to a shell.
GREETING = {"folder": str, "free_bytes": int, "machine": str, "bits": int, "python": str, "import_error": str}
FOLDER = r"(/(?!\.{1,2}/)[ -.0-~]+)*/edgebert-[a-z0-9_]{4,32}"
EXCEPTION = r"[\w.]+(Error|Exception)\b"
PLAIN = r"[A-Za-z0-9_./+-]{1,200}"
REMEDIES = {
    "Permission denied": "give it a key that it takes (ssh-copy-id, or IdentityFile in ~/.ssh/config)",
    "Host key verification failed": "connect once by hand and check its host key",
    "Could not resolve": "check the name",
}


@dataclass(frozen=True)
class Greeting:
    """The keeper's first message: its folder ("" if there is no room), machine, Python, and missing modules."""

    folder: str
    free_bytes: int
    machine: str
    bits: int
    python: str
    import_error: str


@dataclass(frozen=True)
class Address:
    """The machine to connect to; `~/.ssh/config` supplies what is left out."""

    host: str
    user: str | None = None
    port: int | None = None

    def command(self, remote: str) -> list[str]:
        """The ssh command line that runs a shell command there."""
        options = [part for option in OPTIONS for part in ("-o", option)]
        port = ["-p", str(self.port)] if self.port else []
        user = ["-l", self.user] if self.user else []
        return ["ssh", "-T", *options, *port, *user, "--", self.host, remote]


def parse(name: str) -> Address:
    """Read `ssh://[USER@]HOST[:PORT]`.

    Raises:
        InputError: It does not have that form.
    """
    form = r"ssh://(?:(\w[^\s@:/]*)@)?(\[[0-9A-Fa-f:.]+\]|[\w.][\w.-]*)(?::(\d{1,5}))?/?"
    found = re.fullmatch(form, name)
    if not found or not 0 < int(found[3] or 1) < 1 << 16:
        raise InputError(f"target {name!r}: not an address; expected ssh://[USER@]HOST[:PORT]")
    return Address(found[2].strip("[]"), found[1], int(found[3]) if found[3] else None)


@contextmanager
def ssh(name: str, variants: Sequence[Variant], data: Path | None, progress: Progress) -> Iterator[Machine]:
    """Copy the device half, the bundles and the data there, provide the machine, and clean up at the end.

    The Python there is `$EDGEBERT_PYTHON` (set here or there), or the first of `python3`, `python3.11` and so on that
    is new enough.

    Raises:
        InputError: It cannot be reached, refuses the key, lacks Python or packages, or cannot run the bundles.
        DiskError: Too little room there.
        RunError: The connection was lost.
        TargetError: No heartbeat, no answer in time, or an invalid one.
    """
    address = parse(name)
    files, places = _payload(variants, data)
    python = os.environ.get("EDGEBERT_PYTHON", "")
    try:
        channel = Channel(name, address.command(find_python(python)))
    except FileNotFoundError:
        raise InputError(f"{name}: there is no ssh on this machine; install OpenSSH's client") from None
    folder = ""
    try:
        needed_bytes = sum(path.stat().st_size for path in files.values()) + MARGIN_BYTES
        there = _greet(name, channel, python, needed_bytes, variants)
        folder = there.folder
        _check(name, there, needed_bytes, variants, progress)
        _copy(name, channel, files, progress)
        yield _machine(name, channel, places)
    except Lost as lost:
        raise _cut(name, lost) from None
    finally:
        _leave(name, address, channel, folder, progress)


def find_python(python: str) -> str:
    """Shell command that finds a Python, which then reads its program from its first line of input."""
    candidates = shlex.quote(python) if python else PYTHONS
    check = shlex.quote("import sys; sys.exit(sys.version_info < (3, 11))")
    start = shlex.quote("import json; exec(json.loads(open(0, 'rb', 0, closefd=False).readline()))")
    script = (
        f'for p in {candidates}; do if [ -n "$p" ] && "$p" -c {check} </dev/null >/dev/null 2>&1; '
        f'then exec "$p" -I -c {start}; fi; done; exit {NO_PYTHON}'
    )
    return f"exec sh -c {shlex.quote(script)}"


def _payload(variants: Sequence[Variant], data: Path | None) -> tuple[Files, dict[str, str]]:
    files, places = bundle_files(variants)
    more, named = ({}, {}) if data is None else data_files(data)
    return {**device_half(), **core_library(variants), **files, **more}, {**places, **named}


def _modules(variants: Sequence[Variant]) -> list[str]:
    """Modules that the Python there must be able to import."""
    # The baseline runs on ONNX Runtime, whatever runtime the bundles use.
    used = (RUNTIMES[variant.runtime].module for variant in variants)
    return list(dict.fromkeys(["numpy", ONNXRUNTIME.module, "tokenizers", *filter(None, used)]))


def _greet(name: str, channel: Channel, python: str, needed_bytes: int, variants: Sequence[Variant]) -> Greeting:
    """Start the keeper, and read its greeting."""
    message: dict[str, Json] = {"op": "hello", "silence_s": SILENCE_S, "bytes": needed_bytes}
    message["modules"] = _modules(variants)
    try:
        there = channel.ask(message)
    except Lost as lost:
        if lost.code == NO_PYTHON:
            tried = python or "python3"
            reason = f"no Python 3.11 or newer there ({tried}); install one, or set EDGEBERT_PYTHON to its path there"
        elif lost.code == 255:
            remedies = (remedy for sign, remedy in REMEDIES.items() if sign in lost.complaint)
            reason = f"no connection ({lost.complaint}); {next(remedies, 'check that it is on and the port is right')}"
        elif channel.has_started or re.match(EXCEPTION, lost.complaint):
            remedy = "check the Python there, or name another one with EDGEBERT_PYTHON"
            reason = f"EdgeBERT's program failed there ({lost.complaint}); {remedy}"
        else:
            reason = f"no program can be run there ({lost.complaint}); give a user with a shell"
        raise InputError(f"{name}: {reason}") from None
    return _greeting(name, there)


def _greeting(name: str, there: dict[str, Json]) -> Greeting:
    """Read a greeting and check it: its folder will be removed later.

    Raises:
        TargetError: A value is missing or has the wrong type, or the folder is not an EdgeBERT temporary folder.
    """
    wrong = [key for key, kind in GREETING.items() if type(there.get(key)) is not kind]
    for key in ("free_bytes", "bits"):
        count = there.get(key)
        wrong += [] if is_count(count) and count >= 0 else [key]
    if not wrong and there["folder"] and not re.fullmatch(FOLDER, str(there["folder"])):
        wrong = ["folder"]
    if wrong:
        value = repr(there.get(wrong[0]))[:80]
        raise TargetError(
            f"{name}: the machine sent {wrong[0]} {value}, which is not an answer of EdgeBERT; check the machine"
        )
    return fill(Greeting, there, name, strict=False)


def _check(name: str, there: Greeting, needed_bytes: int, variants: Sequence[Variant], progress: Progress) -> None:
    """Refuse a machine that cannot run the bundles, and report if they were made for another one."""
    machine, python = there.machine, there.python
    if machine not in MACHINES or there.bits != 64:
        raise InputError(
            f"{name}: a {machine} machine with a {there.bits}-bit Python; ONNX Runtime only has wheels for 64-bit "
            f"{' and '.join(MACHINES)}; install a 64-bit system there"
        )
    if not there.folder:
        raise _full(name, f"{there.free_bytes / 1e6:.0f} MB free, {needed_bytes / 1e6:.0f} MB needed")
    if there.import_error:
        modules = " ".join(_modules(variants))
        # The user may copy this command, and a path with other characters could contain a command.
        remedy = f"; install {modules} there"
        if re.fullmatch(PLAIN, python):
            remedy = f" ({python}); there: {python} -m pip install {modules}"
        raise MissingDependencyError(f"{name}: {there.import_error:.200}{remedy}")
    for variant in variants:
        profile = variant.manifest.profile
        if profile.machine and profile.machine != machine:
            made = f"exported for {profile.name or '?'} ({profile.machine})"
            progress(f"note: {variant.name} was {made}, {name} is {machine}; it may be slower or less accurate there")


def _copy(name: str, channel: Channel, files: Files, progress: Progress) -> None:
    total = sum(path.stat().st_size for path in files.values())
    progress(f"{name}: copying {total / 1e6:.1f} MB")
    for place, path in files.items():
        size = path.stat().st_size
        channel.tell({"op": "put", "path": place, "bytes": size}, path, size)
    answer = channel.ask({"op": "ready"})
    write_error, refused = answer.get("write_error"), answer.get("refused")
    if not isinstance(write_error, str) or not isinstance(refused, bool):
        raise _never_says(name, answer)
    if refused:
        raise InputError(f"{name}: {write_error:.200}; give another file name")
    if write_error:
        raise _full(name, write_error)


def _machine(name: str, channel: Channel, places: dict[str, str]) -> Machine:
    usable = True

    def child(job: Job) -> Answer:
        nonlocal usable
        moved = as_json(
            {key: places.get(value, value) if isinstance(value, str) else value for key, value in job.items()}
        )
        usable = False  # until its answer is here: one that comes after an interrupt would be taken for the next job's
        asked = time.monotonic()
        try:
            answer = channel.ask({"op": "run", "job": moved, "timeout_s": process.TIMEOUT_S}, process.TIMEOUT_S)
        except Lost as lost:
            raise _cut(name, lost) from None
        usable = True
        _check_outcome(name, job, answer, time.monotonic() - asked)
        document, spawned_ns = answer.get("document"), answer.get("spawned_ns")
        if "document" not in answer or not is_count(spawned_ns):
            raise TargetError(f"{name}: the machine answered a job without a result; check the machine")
        return process.with_cold_start(job, document, spawned_ns, name)

    def environment() -> Environment:
        if not usable:  # what is asked for at the end of a run that was cut or interrupted can no longer be known
            return {}
        found = environment_of(child({"scenario": "environment"}))
        # The copied sources are not an installed package with a readable version.
        return {**found, "versions": found["versions"] | {"edgebert": __version__}}

    return Machine(name, child, environment)


def _check_outcome(name: str, job: Job, answer: dict[str, Json], took_s: float) -> None:
    """Raise the error of a job that failed.

    Raises:
        DiskError: No room there.
        RunError: It failed, or took too long.
        TargetError: The reason is invalid, or the stated time is impossible.
    """
    for key in ("full", "failed"):
        reason = answer.get(key, "-")
        if not isinstance(reason, str) or not reason:
            raise _never_says(name, answer)
    if "full" in answer:
        raise _full(name, str(answer["full"]))
    if "overtime" in answer:
        # The clock there starts later than the one here; one second allows for different clock rates.
        if answer["overtime"] is not True or took_s < process.TIMEOUT_S - 1:
            raise _never_says(name, answer)
        raise process.overtime(job)
    if "failed" in answer:
        raise process.failure(job, str(answer["failed"])[:1000])


def _never_says(name: str, answer: dict[str, Json]) -> TargetError:
    shown = shortened(json.dumps(answer), 80)
    return TargetError(f"{name}: the machine sent {shown}, which is not an answer of EdgeBERT; check the machine")


def _leave(name: str, address: Address, channel: Channel, folder: str, progress: Progress) -> None:
    """Close the connection; if the keeper did not end normally, remove its folder by another connection.

    ssh's exit code is 255 if the connection was lost, and also if the keeper was killed, which then removes nothing. A
    keeper that ends with 0 before it was asked to may not have removed anything either.
    """
    code = channel.close()
    if not folder or (code == 0 and not channel.was_lost):
        return
    command = address.command(f"rm -rf -- {shlex.quote(folder)}")
    try:
        nothing = subprocess.DEVNULL
        removed = subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, timeout=15, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        removed = None
    if removed is None or removed.returncode:
        ends = f" (unless it was killed, the program there removes it within {SILENCE_S:.0f} s)" * (code == 255)
        progress(f"note: {folder} may still be on {name}{ends}; remove it")


def _cut(name: str, lost: Lost) -> RunError:
    return RunError(
        f"{name}: connection lost ({lost.complaint}); processes there end within {SILENCE_S:.0f} s; run the same "
        "command again"
    )


def _full(name: str, reason: str) -> DiskError:
    return DiskError(f"{name}: no room there ({reason:.200}); free some space, or give another machine")
