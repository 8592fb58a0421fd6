"""Where a bench runs: one file per target, each a context that sets up a machine, provides it, and cleans up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgebert.errors import InputError
from edgebert.measure.process import run_child
from edgebert.measure.targets.machine import Machine, Progress
from edgebert.measure.variants import Variant
from edgebert.runtime.session import CPU

KNOWN = "local, cuda, cuda://tensorrt, ssh://[USER@]HOST[:PORT], qemu://CPU"


@contextmanager
def open_target(name: str, variants: Sequence[Variant], data: Path | None, progress: Progress) -> Iterator[Machine]:
    """Set up the machine that a target names.

    Args:
        name: `local`, `cuda`, `cuda://tensorrt`, `ssh://[USER@]HOST[:PORT]` or `qemu://CPU`.
        variants: The variants to measure on it.
        data: The jobs' data file, if any.
        progress: Called with one line per step.

    Raises:
        InputError: No such target, or it cannot be used; the message says why and what to do.
        RunError: The connection was lost.
    """
    kind, _, rest = name.partition("://")
    if name == "local":
        yield local(variants, progress)
    elif name == "cuda" or kind == "cuda":
        from edgebert.measure.targets.cuda import cuda

        with cuda(name, variants, progress) as machine:
            yield machine
    elif kind == "qemu" and rest:
        from edgebert.measure.targets.emulated import emulated

        with emulated(rest) as machine:
            yield machine
    elif kind == "ssh" and rest:
        from edgebert.measure.targets.ssh import ssh

        with ssh(name, variants, data, progress) as machine:
            yield machine
    else:
        raise InputError(f"unknown target {name!r}; expected {KNOWN}")


def local(variants: Sequence[Variant], progress: Progress) -> Machine:
    """This machine's CPU, also for bundles that would open on a GPU by default."""
    for_gpu = [variant.name for variant in variants if variant.manifest.profile.export.provider != CPU]
    if not for_gpu:
        return Machine()
    progress(f"note: {', '.join(for_gpu)}: made for a GPU, measured on the CPU; --target cuda measures on the GPU")
    return Machine(child=lambda job: run_child({**job, "provider": (CPU, {})}))
