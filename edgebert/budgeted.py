"""A time budget for an export: said before anything is trained, fitted to, and kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from edgebert.compress import distributed
from edgebert.compress.clock import Clock
from edgebert.compress.conditions import TRAINING, installed
from edgebert.compress.numbers import Ground, choices, stage_settings, with_numbers
from edgebert.compress.pace import STAGE, VERSION, Pace, expected_seconds, measure_pace
from edgebert.cpu import this_cpu
from edgebert.duration import show_duration
from edgebert.errors import SettingsError
from edgebert.prepared import Prepared
from edgebert.recipe import Recipe
from edgebert.runtime.cores import usable_cores
from edgebert.strict_json import Json
from edgebert.workdir import Key, Workdir, model_hash

LOG = logging.getLogger(__name__)

# Chosen epochs are cut to this part of the usual ones, and no further.
LEAST_SHARE = 0.2
# Each graph is exported, compared and written; a text is scored some times.
GRAPH_SECONDS, START_SECONDS, SCORES = 15.0, 10.0, 4


@dataclass(frozen=True)
class Estimate:
    """Seconds that each training is expected to take, and everything else."""

    stages: dict[str, float]
    rest: float

    @property
    def total(self) -> float:
        """Seconds of the whole export."""
        return sum(self.stages.values()) + self.rest

    def __str__(self) -> str:
        """Every part, as it is shown."""
        parts = [f"{stage} {show_duration(seconds)}" for stage, seconds in self.stages.items()]
        return ", ".join([*parts, f"graphs, INT8 and scores {show_duration(self.rest)}"])


def within_budget(prepared: Prepared, budget: int, workdir: Workdir) -> Prepared:
    """Fit chosen epochs to a budget, say what each stage may take, and set the clock of the trainings.

    Args:
        prepared: The export.
        budget: Seconds.
        workdir: Keeps the measured pace, so that a run that continues has the same epochs.

    Raises:
        SettingsError: The budget is too short; the message has the nearest that fits.
    """
    started = time.monotonic()
    if distributed.world_size() > 1:
        raise SettingsError("--budget is for one process, but several train together; leave it out")
    ground, pace = prepared.ground(), _pace(prepared, workdir)

    def at(share: float) -> tuple[Recipe, Estimate]:
        recipe = with_numbers(prepared.asked, ground, share)
        return recipe, _estimate(replace(prepared, recipe=recipe), ground, pace)

    recipe, estimate = fitted(at, budget)
    LOG.info("budget %s: %s", show_duration(budget), estimate)
    found = choices(prepared.asked, recipe, ground)
    for stage, choice in found.items():
        facts = choice["for"]
        assert isinstance(facts, dict)
        found[stage] = {**choice, "for": {**facts, "budget_seconds": budget}}
    run = replace(prepared.run, clock=Clock(started + budget - estimate.rest, estimate.stages))
    return replace(prepared, recipe=recipe, chosen=found, run=run)


def _pace(prepared: Prepared, workdir: Workdir) -> Pace:
    """The machine's pace, measured or found in the folder of finished stages."""
    data, cpu = prepared.data, this_cpu()
    files: list[Json] = [entry for entry in data.fingerprints if entry["split"] == "train"]
    inputs: dict[str, Json] = {"model": model_hash(prepared.checkpoint), "facts": data.key(), "data": files}
    inputs |= {"run": prepared.run.facts(), "machine": [cpu.name, cpu.machine, len(usable_cores())]}
    action = partial(measure_pace, prepared.checkpoint, data, prepared.run)
    done = workdir.run(Key(STAGE, VERSION, inputs, {"tools": installed(TRAINING)}), action)
    step, forward = (float(str(done.report.metrics[name])) for name in ("step", "forward"))
    return Pace(step, forward)


def _estimate(prepared: Prepared, ground: Ground, pace: Pace) -> Estimate:
    recipe, data = prepared.recipe, prepared.data
    stages = expected_seconds(recipe, ground, pace, len(data.validation))
    if not prepared.trains_teacher:
        stages.pop("finetune", None)
    graphs = 2 + (len(stage_settings(recipe)) + 1) * recipe.export.stages
    scored = SCORES * (len(data.validation) + len(data.test)) * pace.forward
    return Estimate(stages, START_SECONDS + GRAPH_SECONDS * graphs + scored)


def fitted(at: Callable[[float], tuple[Recipe, Estimate]], budget: int) -> tuple[Recipe, Estimate]:
    """The recipe with the most epochs that fit.

    Args:
        at: The recipe for a share of the usual epochs, and what it takes.
        budget: Seconds.

    Raises:
        SettingsError: Not even the fewest do.
    """
    recipe, estimate = at(1.0)
    if estimate.total <= budget:
        return recipe, estimate
    _, least = at(LEAST_SHARE)
    if least.total > budget:
        fits = show_duration(least.total)
        raise SettingsError(
            f"--budget is {budget:,} seconds, but this export takes at least {fits} on this machine ({least}); "
            f"give --budget {fits}, train on fewer rows (data.limit), or leave out epochs that the recipe names"
        )
    low, high = LEAST_SHARE, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if at(middle)[1].total <= budget else (low, middle)
    usual = show_duration(estimate.total)
    LOG.info("budget: %.0f%% of the usual epochs fit; without a budget the export takes about %s", 100 * low, usual)
    return at(low)
