"""Numbers of a training that a recipe leaves out, chosen by the data and the model's size.

A number that the recipe names is kept. A table that names both `epochs` and `learning_rate` is taken as it stands: what
else it leaves out has the fixed defaults of `training_tables.Numbers`.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData, encode_rows
from edgebert.compress.run import Run
from edgebert.recipe import Recipe
from edgebert.strict_json import Json
from edgebert.training_tables import Numbers, TrainSettings

SettingsT = TypeVar("SettingsT", bound=TrainSettings)

# The metric of a stage's report that holds what was chosen for it.
CHOSEN = "chosen"
# BERT-base (12 layers, 768 wide) has this rate, smaller models higher rates.
BASE_RATE, MAX_RATE = 4e-5, 5e-4
BATCH, SMALL_BATCH = 32, 16
# Fewer rows, or longer texts (mean tokens), are trained in small batches.
FEW_ROWS, LONG_TEXT = 2000, 128
WARM_UP = 0.1
EVALUATIONS, PATIENCE = 8, 3
# Training texts whose tokens are counted.
SAMPLE = 256


@dataclass(frozen=True)
class Rule:
    """How long a stage trains, and at what part of the rate that fits its model's size.

    Epochs are at least and at most so many, whatever the steps; more steps than `steps` lower the rate.
    """

    steps: int
    least_epochs: float
    most_epochs: float
    rate: float


RULES = {
    "finetune": Rule(1250, 2, 40, 1.0),
    "distill": Rule(2500, 1, 40, 1.0),
    "recover": Rule(800, 0.1, 5, 0.4),
    "recover-vocabulary": Rule(800, 0.1, 5, 0.4),
    "quantization-aware": Rule(800, 0.1, 5, 0.15),
}
# Of a model whose head is not new, such as a sentence encoder.
NOTHING_NEW = 0.25


@dataclass(frozen=True)
class Ground:
    """What numbers are chosen by.

    Attributes:
        rows: Training rows with labels, or windows of them if the texts are long.
        unlabelled: Rows without, from which students learn too.
        tokens: Mean tokens of a row.
        layers: Encoder layers of the checkpoint.
        width: Its hidden size.
        has_new_head: Whether fine-tuning starts from a head of drawn weights.
    """

    rows: int
    unlabelled: int
    tokens: int
    layers: int
    width: int
    has_new_head: bool = True

    @classmethod
    def of(cls, source: Path, data: TaskData, run: Run, has_new_head: bool) -> Ground:
        """Count layers, width, rows and, of a sample of them, windows and tokens.

        Args:
            source: Folder of the checkpoint.
            data: Its rows.
            run: Reads the folder's tokenizer.
            has_new_head: Whether fine-tuning starts from a head of drawn weights.
        """
        sample = data.train[:: max(1, len(data.train) // SAMPLE)]
        with tempfile.TemporaryDirectory() as folder:
            encoder = run.encoder(run.loaded.tokenizer(source), Path(folder))
            windows = [len(window.ids) for window in encode_rows(sample, data, encoder).rows]
        config = checkpoint.load_config(source)
        return cls(
            rows=round(len(data.train) * len(windows) / len(sample)),
            unlabelled=len(data.unlabelled),
            tokens=math.ceil(sum(windows) / len(windows)),
            layers=config.num_hidden_layers,
            width=config.hidden_size,
            has_new_head=has_new_head,
        )

    def shape(self, recipe: Recipe, stage: str) -> tuple[int, int]:
        """Layers and width of the model that a stage trains."""
        if recipe.distill is None or stage == "finetune":
            return self.layers, self.width
        return len(recipe.distill.layers), recipe.distill.hidden_size or self.width

    def rows_of(self, stage: str) -> int:
        """Rows that a stage trains on."""
        return self.rows if stage == "finetune" else self.rows + self.unlabelled


# For recipes that name their numbers, of which nothing is chosen.
NAMED = Ground(rows=1, unlabelled=0, tokens=1, layers=12, width=768)


def stage_settings(recipe: Recipe) -> dict[str, TrainSettings]:
    """Settings of every training stage that a recipe names, by the stage's name, in their order."""
    tables = {
        "finetune": recipe.finetune,
        "distill": recipe.distill,
        "recover": recipe.prune.recover if recipe.prune else None,
        "recover-vocabulary": recipe.vocabulary.recover if recipe.vocabulary else None,
        "quantization-aware": recipe.quantize.recover,
    }
    return {stage: settings for stage, settings in tables.items() if settings is not None}


def with_numbers(recipe: Recipe, ground: Ground, share: float = 1.0) -> Recipe:
    """A recipe whose training tables have every number.

    Args:
        recipe: As it was read.
        ground: What the numbers are chosen by.
        share: Part of the usual steps that chosen epochs come to.
    """

    def settled(settings: SettingsT, stage: str) -> SettingsT:
        rule = RULES[stage]
        if stage == "finetune" and not ground.has_new_head:
            rule = replace(rule, rate=rule.rate * NOTHING_NEW)
        return settle(
            settings, rule, ground.rows_of(stage), rate_of(*ground.shape(recipe, stage)), ground.tokens, share
        )

    prune, words, quantize = recipe.prune, recipe.vocabulary, recipe.quantize
    if prune:
        prune = replace(prune, recover=settled(prune.recover, "recover"))
    if words and words.recover:
        words = replace(words, recover=settled(words.recover, "recover-vocabulary"))
    if quantize.recover:
        quantize = replace(quantize, recover=settled(quantize.recover, "quantization-aware"))
    return replace(
        recipe,
        finetune=recipe.finetune and settled(recipe.finetune, "finetune"),
        distill=recipe.distill and settled(recipe.distill, "distill"),
        prune=prune,
        vocabulary=words,
        quantize=quantize,
    )


def settle(settings: SettingsT, rule: Rule, rows: int, rate: float, tokens: int = 1, share: float = 1.0) -> SettingsT:
    """Settings with every number.

    Args:
        settings: A training table; what it names is kept.
        rule: Of the stage.
        rows: Rows to train on.
        rate: Learning rate that fits the model's size.
        tokens: Mean tokens of a row.
        share: Part of the rule's steps to take.
    """
    names = left_out(settings)
    if not names:
        return replace(settings, **asdict(settings.numbers))
    batch = settings.batch_size or (SMALL_BATCH if rows < FEW_ROWS or tokens > LONG_TEXT else BATCH)
    per_epoch = math.ceil(max(1, rows) / batch)
    epochs = settings.epochs
    if epochs is None:
        epochs = min(max(rule.steps / per_epoch, rule.least_epochs), rule.most_epochs) * share
        epochs = max(0.01, rounded(epochs))
    slower = min(1.0, rule.steps / (epochs * per_epoch))
    chosen = Numbers(
        epochs=epochs,
        learning_rate=rounded(min(MAX_RATE, rule.rate * rate) * slower),
        batch_size=batch,
        warmup_share=WARM_UP,
        evaluations_per_epoch=math.ceil(EVALUATIONS / epochs),
    )
    every = settings.evaluations_per_epoch or chosen.evaluations_per_epoch
    chosen = replace(chosen, patience=max(PATIENCE, math.ceil(epochs * every / PATIENCE)))
    return replace(settings, **{name: value for name, value in asdict(chosen).items() if name in names})


def rate_of(layers: int, width: int) -> float:
    """Learning rate that fits an encoder's size: BERT-base's, times the weights' ratio to the power of 2/3."""
    return BASE_RATE * math.pow(weights_of(12, 768) / weights_of(layers, width), 2 / 3)


def weights_of(layers: int, width: int) -> int:
    """Weights of an encoder's layers, whose feed-forward blocks are four times as wide."""
    return 12 * layers * width**2


def left_out(settings: TrainSettings) -> list[str]:
    """Numbers that a training table leaves to be chosen."""
    if settings.epochs is not None and settings.learning_rate is not None:
        return []
    return [each.name for each in fields(Numbers) if getattr(settings, each.name) is None]


def settled(recipe: Recipe, ground: Callable[[], Ground]) -> tuple[Recipe, dict[str, dict[str, Json]]]:
    """A recipe with every number, and what was chosen for each of its stages (`choices`).

    `ground` is asked only if a number is left out.
    """
    if not any(left_out(settings) for settings in stage_settings(recipe).values()):
        return with_numbers(recipe, NAMED), {}
    found = ground()
    after = with_numbers(recipe, found)
    return after, choices(recipe, after, found)


def choices(before: Recipe, after: Recipe, ground: Ground) -> dict[str, dict[str, Json]]:
    """What was chosen for each stage, and what for; nothing of a stage whose numbers the recipe names."""
    found: dict[str, dict[str, Json]] = {}
    settled = stage_settings(after)
    for stage, settings in stage_settings(before).items():
        if names := left_out(settings):
            layers, width = ground.shape(after, stage)
            facts: dict[str, Json] = {"rows": ground.rows_of(stage), "tokens": ground.tokens}
            facts |= {"layers": layers, "width": width}
            found[stage] = {**{name: getattr(settled[stage], name) for name in names}, "for": facts}
    return found


def sentence(choice: Mapping[str, Json]) -> str:
    """What was chosen for a stage, and why, in a line."""
    facts = choice["for"]
    assert isinstance(facts, dict)
    shown = ", ".join(f"{name} {value:g}" for name, value in choice.items() if isinstance(value, int | float))
    return (
        f"{shown}: chosen for {facts['rows']:,} rows of about {facts['tokens']} tokens and an encoder of "
        f"{facts['layers']} layers, {facts['width']} wide; a number that the recipe names is kept"
    )


def rounded(value: float) -> float:
    """A number to two digits, as one would write it."""
    return float(f"{value:.1e}")
