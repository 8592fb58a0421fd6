"""Kill exports at moments of writing, let each go on to its end, and compare it with the undisturbed one.

`make fuzz` runs it; `python -m fuzz.kills --kills 6` with `tests` in PYTHONPATH is a brief one.
"""

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import TypeVar

from fuzz.exports import Export, make_exports
from fuzz.forked import Kill, moments, preload, run

from edgebert.bundle import bundle_hash, file_sha256

KINDS = ("event", "cut", "time")
LARGEST_CUT = 60_000

Item = TypeVar("Item")


@dataclass
class Undisturbed:
    """An undisturbed export: its result, and the times of its file changes."""

    export: Export
    bundle_hash: str
    files: dict[str, str]
    changed: list[str]
    seconds: float

    def events(self, stage: str) -> list[int]:
        return [at for at, path in enumerate(self.changed) if stage_of(path) == stage]

    def stages(self) -> list[str]:
        return list(dict.fromkeys(map(stage_of, self.changed)))


@dataclass
class Tally:
    """The outcome of the kills so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    stages: Counter[str] = field(default_factory=Counter)
    too_late: int = 0
    faults: list[str] = field(default_factory=list)

    def text(self, seconds: float) -> str:
        kinds = ", ".join(f"{self.kinds[kind]} by {kind}" for kind in KINDS)
        stages = ", ".join(f"{stage} {count}" for stage, count in self.stages.items())
        return (
            f"kills: {self.kinds.total()} ({kinds}), {self.too_late} more came after the end\n"
            f"where: {stages}\n"
            f"faults: {len(self.faults)}; {seconds:.0f} s\n" + "".join(f"FAULT {fault}\n" for fault in self.faults)
        )


def stage_of(path: str) -> str:
    """The stage that writes a path: `out.work/distill-0123.partial/...` is written by `distill`."""
    top, _, rest = path.partition("/")
    if top == "out.work" and rest:
        return rest.partition("/")[0].removesuffix(".partial").rpartition("-")[0]
    return "stage bundles" if top == "out.stages" else "bundle"


def files_below(folder: Path) -> dict[str, str]:
    """Every file and folder by its path, a file with its hash."""
    return {
        path.relative_to(folder).as_posix(): file_sha256(path) if path.is_file() else ""
        for path in sorted(folder.rglob("*"))
    }


def begin(export: Export, root: Path, folder: Path) -> None:
    """Make the folder of an export, with the bundle that it replaces."""
    folder.mkdir()
    if export.replaces:
        shutil.copytree(root / export.replaces / "out", folder / "out")


def undisturbed(export: Export, root: Path) -> Undisturbed:
    folder = root / export.name
    begin(export, root, folder)
    changed, modules, _ = moments(export.arguments(folder / "out"), folder)
    preload(modules)
    shutil.rmtree(folder)
    begin(export, root, folder)
    changed, _, seconds = moments(export.arguments(folder / "out"), folder)
    return Undisturbed(export, bundle_hash(folder / "out"), files_below(folder), changed, seconds)


def plan(whole: list[Undisturbed], seed: int) -> Iterator[tuple[Undisturbed, str, str, Kill]]:
    """Endless kills of every kind in turn: at a moment of each stage of each export, or at any time."""
    chance = random.Random(seed)
    stages = turns([(run, stage) for run in whole for stage in run.stages()], chance)
    exports = turns(whole, chance)
    for kind in cycle(KINDS):
        if kind == "time":
            run_ = next(exports)
            yield run_, "any", kind, Kill(seconds=chance.uniform(0, run_.seconds))
            continue
        run_, stage = next(stages)
        event = chance.choice(run_.events(stage))
        cut = int(LARGEST_CUT ** chance.random()) if kind == "cut" else None
        yield run_, stage, kind, Kill(event=event, cut=cut)


def turns(items: list[Item], chance: random.Random) -> Iterator[Item]:
    """Yield every item once in random order, again and again."""
    while True:
        yield from chance.sample(items, len(items))


def kill_once(whole: Undisturbed, kill: Kill, folder: Path) -> tuple[bool, str]:
    """Kill an export and resume it; return whether the kill came in time, and what is wrong in the end."""
    arguments = whole.export.arguments(folder / "out")
    begin(whole.export, folder.parent, folder)
    code, told = run(arguments, folder, kill)
    if code >= 0:
        return False, "" if code == 0 else f"ended with {code}:\n{told}"
    code, told = run(arguments, folder)
    if code:
        return True, f"went on and ended with {code}:\n{told[-3000:]}"
    if bundle_hash(folder / "out") != whole.bundle_hash:
        return True, "another bundle hash"
    found = files_below(folder)
    different = sorted(name for name in {*found, *whole.files} if found.get(name) != whole.files.get(name))
    return True, f"other files: {', '.join(different[:5])}" if different else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--exports", nargs="+", default=["chain", "halved", "quantized"])
    arguments = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="edgebert-kills-") as temporary:
        tally = killed(Path(temporary), arguments.exports, arguments.kills, arguments.seed)
    sys.stdout.write(tally.text(time.monotonic() - started))
    return 1 if tally.faults else 0


def killed(root: Path, names: list[str], kills: int, seed: int) -> Tally:
    """Run so many kills of the named exports, a line of progress each on stderr."""
    (root / "inputs").mkdir()
    whole = [undisturbed(export, root) for export in make_exports(root / "inputs") if export.name in names]
    tally = Tally()
    for number, (run_, stage, kind, kill) in enumerate(plan(whole, seed)):
        if tally.kinds.total() == kills or tally.too_late > kills:
            break
        folder = root / f"kill-{number}"
        in_time, fault = kill_once(run_, kill, folder)
        name = f"{run_.export.name}, {stage}, {kind}, {kill}"
        sys.stderr.write(f"{number}: {name}: {fault.splitlines()[0] if fault else 'same' if in_time else 'late'}\n")
        tally.too_late += not in_time
        tally.kinds[kind] += in_time
        tally.stages[stage] += in_time
        tally.faults += [f"{name}: {fault}"] if fault else []
        for left in root.glob(f"kill-{number}*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    return tally


if __name__ == "__main__":
    raise SystemExit(main())
