"""Training checkpoints on disk: written completely or not at all; a damaged one is skipped for an older one."""

from __future__ import annotations

import json
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgebert.errors import SettingsError
from edgebert.seal import damage, seal
from edgebert.settings import fill, within
from edgebert.strict_json import parse_json, table_of

LOG = logging.getLogger(__name__)

# The Trainer writes here; a checkpoint leaves this folder when it is complete.
UNFINISHED = "unfinished"
STATE = "trainer_state.json"
PREFIX = "checkpoint-"
# Files from which the Trainer continues; files of random states have other names if several processes train.
FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", STATE)
# The checkpoint to continue from, and the one before it in case the first is damaged.
KEPT = 2


@dataclass(frozen=True)
class State:
    """The values read from a checkpoint's `trainer_state.json`; the Trainer reads the others."""

    global_step: int = within(0, 0, 1 << 62)
    best_global_step: int = within(0, 0, 1 << 62)
    log_history: tuple[dict[str, float], ...] = ()


def keep(folder: Path, step: int) -> None:
    """Move the checkpoint that the Trainer has just written to the complete ones, and remove those no longer needed.

    Args:
        folder: Folder of the complete checkpoints; the new one is in its `unfinished` folder.
        step: The training step of the new checkpoint.
    """
    new = folder / UNFINISHED / f"{PREFIX}{step}"
    _forget_place(new / STATE)
    seal(new)
    new.rename(at(folder, step))
    steps = _steps(folder)
    needed = set(steps[-KEPT:])
    needed |= {_best(folder, step) for step in needed}
    for step in set(steps) - needed:
        shutil.rmtree(at(folder, step))


def newest_whole(folder: Path, title: str) -> Path | None:
    """Find the checkpoint to continue from; remove damaged ones, and report them on stderr.

    Args:
        folder: Folder of the complete checkpoints; need not exist.
        title: What is trained, for the message.

    Returns:
        The newest complete checkpoint whose best weights are complete too; None to start from the beginning.
    """
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    damaged: list[str] = []
    for step in reversed(_steps(folder)):
        wrong = _damage(folder, step)
        if wrong is None:
            _say(title, f"continuing from step {step}", damaged)
            return at(folder, step)
        damaged.append(f"{PREFIX}{step} is damaged: {wrong}")
        shutil.rmtree(at(folder, step))
    if damaged:
        _say(title, "starting again from step 0", damaged)
    return None


def at(folder: Path, step: int) -> Path:
    """Folder of the checkpoint at a step."""
    return folder / f"{PREFIX}{step}"


def _forget_place(path: Path) -> None:
    """Remove the folder of the best weights from a state: it is renamed, and the step is enough to find it."""
    state = json.loads(path.read_text(encoding="utf-8"))
    state["best_model_checkpoint"] = None
    path.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def _say(title: str, what: str, damaged: list[str]) -> None:
    reason = f" ({'; '.join(damaged)})" if damaged else ""
    LOG.info("%s: %s%s", title, what, reason)


def _steps(folder: Path) -> list[int]:
    """Steps of the checkpoints; folder names that EdgeBERT does not write, such as `checkpoint-007`, are ignored."""
    names = [path.name for path in folder.glob(f"{PREFIX}*") if path.is_dir() and not path.is_symlink()]
    return sorted(int(found[1]) for name in names if (found := re.fullmatch(f"{PREFIX}(0|[1-9][0-9]*)", name)))


def _damage(folder: Path, step: int) -> str | None:
    wrong = _own_damage(folder, step)
    if wrong is None and (best := _best(folder, step)) != step:
        wrong = _own_damage(folder, best)
        wrong = wrong and f"its best weights, {PREFIX}{best}: {wrong}"
    return wrong


def _own_damage(folder: Path, step: int) -> str | None:
    """Describe a checkpoint's damage, including a checkpoint that was damaged when it was sealed."""
    place = at(folder, step)
    if wrong := damage(place):
        return wrong
    if missing := [name for name in FILES if not (place / name).is_file()]:
        return f"{missing[0]} is missing"
    try:
        state = _state(place)
    except (OSError, ValueError, SettingsError):
        return f"{STATE} is damaged"
    return None if state.global_step == step else f"{STATE} is of step {state.global_step}"


def _best(folder: Path, step: int) -> int:
    """Step of the best weights up to a checkpoint's step; the step itself if nothing was evaluated before."""
    try:
        return _state(at(folder, step)).best_global_step or step
    except (OSError, ValueError, SettingsError):
        return step


def _state(checkpoint: Path) -> State:
    """Read a state; the loss is NaN if training diverged.

    Raises:
        OSError: It cannot be read.
        ValueError: It is not a JSON object.
        SettingsError: A value has a type that the Trainer does not write.
    """
    table = table_of(parse_json((checkpoint / STATE).read_text(encoding="utf-8"), finite=False))
    table = {key: value for key, value in table.items() if value is not None}
    return fill(State, table, STATE, strict=False)
