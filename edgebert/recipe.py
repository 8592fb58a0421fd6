"""An export recipe: which checkpoint, which data, which stages. TOML in, frozen dataclasses out."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from edgebert.data.columns import Columns, Delimiter, Quotes, columns_fault
from edgebert.data.formats import TABLES
from edgebert.data.text_file import format_fault
from edgebert.errors import SettingsError
from edgebert.runtimes import FORMATS, FormatName
from edgebert.settings import Setting, fill, parse_toml, read_toml, within
from edgebert.strict_json import Json
from edgebert.tasks.table import spec_of
from edgebert.training_tables import DistillLoss as DistillLoss
from edgebert.training_tables import DistillSettings as DistillSettings
from edgebert.training_tables import FinetuneSettings as FinetuneSettings
from edgebert.training_tables import TrainSettings as TrainSettings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class ModelSettings:
    """Where the checkpoint comes from: a folder, a hub id, or `package:NAME` for an installed model package."""

    source: str
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuse a blank source."""
        if not self.source.strip():
            raise ValueError("source is blank; give a folder, package:NAME or a hub id (owner/name)")


@dataclass(frozen=True)
class DataSettings:
    """The data files, relative to the data folder, and the columns that hold text and label."""

    train: str = ""
    validation: str = ""
    test: str = ""
    unlabelled: tuple[str, ...] = ()
    text: str = "text"
    text_pair: str = ""
    label: str = "label"
    label_names: dict[str, str] = field(default_factory=dict)
    header: bool = True
    delimiter: Delimiter = "suffix"
    quotes: Quotes = "suffix"
    skip_empty: bool = False
    max_length: int = within(128, 8, 512)
    limit: int = within(0, 0, 1_000_000_000)
    validation_share: float = within(0.1, 0.01, 0.5)

    def __post_init__(self) -> None:
        """Refuse columns that no row can be read by."""
        if fault := columns_fault(self.columns()):
            raise ValueError(fault)

    def columns(self) -> Columns:
        """Which columns of the files to read."""
        named = (self.text, self.text_pair, self.label)
        return Columns(*named, self.header, self.delimiter, self.quotes, self.skip_empty)


@dataclass(frozen=True)
class PruneSettings:
    """Heads and feed-forward neurons to remove, and the training that recovers from it."""

    head_sparsity: float = within(0.25, 0.0, 0.95)
    ffn_sparsity: float = within(0.25, 0.0, 0.95)
    importance: Literal["first-order", "fisher"] = "fisher"
    samples: int = within(2048, 8, 1_000_000)
    ffn_multiple: int = within(32, 1, 65_536)
    recover: TrainSettings = field(default_factory=TrainSettings)
    loss: DistillLoss = field(default_factory=DistillLoss)


@dataclass(frozen=True)
class VocabularySettings:
    """Which pieces of the tokenizer stay, the rank of the word table, and the training that recovers from both.

    Special tokens and single characters stay in any case. `size` 0 is no limit, `rank` 0 keeps the table whole.
    """

    corpus: tuple[str, ...] = ()
    minimum_count: int = within(1, 1, 1_000_000_000)
    size: int = within(0, 0, 10_000_000)
    keep: tuple[str, ...] = ()
    rank: int = within(0, 0, 65_536)
    recover: TrainSettings | None = None
    loss: DistillLoss = field(default_factory=DistillLoss)

    def __post_init__(self) -> None:
        """Refuse a rank that nothing recovers from, and words that are none."""
        if self.rank and self.recover is None:
            raise ValueError(f"rank is {self.rank}, which takes training: add a [vocabulary.recover] table")
        if not all(word.strip() for word in self.keep):
            raise ValueError(f"keep is {list(self.keep)}; expected words that are not blank")


@dataclass(frozen=True)
class QuantizeSettings:
    """INT8: how activations are quantized, what is spared, and the training that gets the model used to it; or FP16.

    "profile" leaves the format to the profile, "measure" times every form on this machine and keeps the fastest;
    "weights" stores INT8 and computes FP32.
    `calibration` is for static INT8 and OpenVINO. `smooth` is SmoothQuant's alpha; 0 leaves it to nncf (0.95) in
    OpenVINO, and out elsewhere. Without `recover` nothing is trained.
    """

    format: Literal["profile", "dynamic", "static", "weights", "fp16", "none", "measure"] = "profile"
    embeddings: Literal["int8", "fp32"] = "int8"
    samples: int = within(256, 8, 1_000_000)
    calibration: Literal["minmax", "percentile", "entropy", "mse"] = "minmax"
    smooth: float = within(0.0, 0.0, 1.0)
    max_drop: float | None = within(None, 0.0, 1.0)
    recover: TrainSettings | None = None
    loss: DistillLoss = field(default_factory=DistillLoss)


@dataclass(frozen=True)
class ExportSettings:
    """What the bundle holds, the graph it is written with, and the bundles of stages beside it."""

    formats: tuple[FormatName, ...] = ("onnx",)
    graph: Literal["fast", "plain"] = "fast"
    parity_samples: int = within(64, 1, 1_000_000)
    stages: bool = True
    score_stages: bool = False
    baseline: bool = False

    def __post_init__(self) -> None:
        """Refuse a bundle without a graph that the runtime opens by default, and scores of no bundles."""
        if not self.formats:
            raise ValueError(f"formats is empty; name at least one of {', '.join(FORMATS)}")
        if len(set(self.formats)) < len(self.formats):
            raise ValueError(f"formats is {', '.join(self.formats)}; name each once")
        if self.score_stages and not (self.stages or self.baseline):
            raise ValueError("score_stages is true, but no stage has a bundle; set stages = true or leave it out")


@dataclass(frozen=True)
class Recipe:
    """One export: task, checkpoint, data and stages; a stage whose table is absent is left out.

    Without `profile` the export is for the machine that it runs on.
    """

    name: str
    task: str
    model: ModelSettings
    profile: str = ""
    seed: int = within(7, 0, 2**31)
    metric: str = ""
    head: dict[str, Json] = field(default_factory=dict)
    data: DataSettings = field(default_factory=DataSettings)
    finetune: FinetuneSettings | None = None
    distill: DistillSettings | None = None
    prune: PruneSettings | None = None
    vocabulary: VocabularySettings | None = None
    quantize: QuantizeSettings = field(default_factory=QuantizeSettings)
    export: ExportSettings = field(default_factory=ExportSettings)

    def __post_init__(self) -> None:
        """Refuse a blank name."""
        if not self.name.strip():
            raise ValueError("name is blank; give the bundle a name")

    @property
    def trains(self) -> bool:
        """Whether a table asks for training."""
        recovers = self.quantize.recover or (self.vocabulary and self.vocabulary.recover)
        return bool(self.finetune or self.distill or self.prune or recovers)

    @property
    def cuts_validation(self) -> bool:
        """Whether validation rows are cut from the training rows."""
        return self.trains and not self.data.validation and spec_of(self.task).can_hold_out


def read_recipe(path: Path, overrides: tuple[str | tuple[str, Setting], ...] = ()) -> Recipe:
    """Read a recipe file, with overrides laid over it: `key=value` texts (dotted keys, TOML values), or pairs of both.

    Raises:
        SettingsError: The file or an override holds an unknown key, a wrong type or an impossible value.
    """
    return _from_table(read_toml(path), overrides, str(path))


def overridden(recipe: Recipe, overrides: tuple[str | tuple[str, Setting], ...], source: str) -> Recipe:
    """A recipe that no file holds, with overrides laid over it and checked as a file's.

    Raises:
        SettingsError: An override holds an unknown key, a wrong type or an impossible value.
    """
    return _from_table(_without_none(settings_dict(recipe)), overrides, source)


def _without_none(table: dict[str, Json]) -> dict[str, Json]:
    """TOML has no null: what a recipe leaves out is left out."""
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in table.items()
        if value is not None
    }


def _from_table(table: dict[str, Json], overrides: tuple[str | tuple[str, Setting], ...], path: str) -> Recipe:
    for override in overrides:
        _override(table, *(_parsed(override) if isinstance(override, str) else override))
    recipe = _for_task(fill(Recipe, table, path), path)
    if recipe.quantize.smooth and recipe.export.graph == "plain":
        raise SettingsError(f"{path}: 'quantize.smooth' needs 'export.graph' = \"fast\"; a plain graph is not smoothed")
    vocabulary = recipe.vocabulary
    if recipe.trains and not recipe.data.train:
        raise SettingsError(f"{path}: training stages need 'data.train'; name the file")
    if recipe.trains and not (recipe.data.validation or recipe.cuts_validation):
        raise SettingsError(f"{path}: training stages of {recipe.task} need 'data.validation'; name the file")
    _check_formats(recipe, path)
    if recipe.quantize.max_drop is not None and not (recipe.data.validation or recipe.cuts_validation):
        raise SettingsError(f"{path}: 'quantize.max_drop' needs 'data.validation' to measure the drop on; name a file")
    if vocabulary and not (recipe.data.train or recipe.data.unlabelled or vocabulary.corpus):
        raise SettingsError(
            f"{path}: [vocabulary] keeps what a corpus holds, but there is none; "
            "name data.train, data.unlabelled or vocabulary.corpus"
        )
    return recipe


def _check_formats(recipe: Recipe, source: str) -> None:
    """Refuse names of data files that no reader takes, whatever is in them.

    Raises:
        SettingsError: Names the first of them, and the formats.
    """
    data = recipe.data
    formats = spec_of(recipe.task).formats
    splits = {"train": data.train, "validation": data.validation, "test": data.test}
    labelled = [(key, name, formats) for key, name in splits.items() if name and formats]
    # What has no label is a table or lines, whatever the task.
    for key, name, known in [*labelled, *(("unlabelled", name, TABLES) for name in data.unlabelled)]:
        if fault := format_fault(Path(name), known):
            raise SettingsError(f"{source}: 'data.{key}' names {name!r:.200}: {fault}")


def data_files(recipe: Recipe) -> list[str]:
    """Names of every file that a recipe reads text from, as it gives them."""
    data, words = recipe.data, recipe.vocabulary
    splits = [name for name in (data.train, data.validation, data.test) if name]
    return [*splits, *data.unlabelled, *(words.corpus if words else ())]


def _for_task(recipe: Recipe, source: str) -> Recipe:
    """Check task, metric and head settings against the task's own file; its first metric is the default."""
    try:
        spec = spec_of(recipe.task)
    except ValueError as error:
        raise SettingsError(f"{source}: 'task': {error}") from None
    if recipe.metric and recipe.metric not in spec.metric_names:
        known = ", ".join(repr(name) for name in spec.metric_names)
        raise SettingsError(f"{source}: 'metric' is {recipe.metric!r}; expected one of {known} for {recipe.task}")
    settings = fill(spec.settings, recipe.head, source, "head.")
    half_window = recipe.data.max_length // 2
    if "stride" in recipe.head and settings.stride > half_window:
        raise SettingsError(
            f"{source}: 'head.stride' is {settings.stride}; expected at most {half_window}, "
            "half of data.max_length: windows that share more would hardly move on"
        )
    return dataclasses.replace(recipe, metric=recipe.metric or spec.metric_names[0])


def settings_dict(settings: DataclassInstance) -> dict[str, Json]:
    """Plain dictionary of a settings dataclass, fit for JSON."""
    plain: dict[str, Json] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return plain


def _parsed(override: str) -> tuple[str, Setting]:
    """Key and value of a text `key=value`."""
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise SettingsError(f"--set {override!r}: expected key=value, for example --set finetune.epochs=1")
    try:
        parsed = cast("Setting", parse_toml(f"value = {value}")["value"])
    except tomllib.TOMLDecodeError:
        parsed = value
    except ValueError as error:
        raise SettingsError(f"--set {key}: {error}; give another value") from None
    return key, parsed


def _override(table: dict[str, Json], key: str, value: Setting) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        below = table.setdefault(parent, {})
        if not isinstance(below, dict):
            raise SettingsError(f"setting {key}: '{parent}' is a value, not a table")
        table = below
    table[last] = value
