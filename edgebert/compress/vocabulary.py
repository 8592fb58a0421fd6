"""Reduce tokenizer and word table to the tokens of a corpus, and report the effect on other texts."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edgebert.compress import arch, checkpoint, low_rank, pieces
from edgebert.compress.data import TaskData
from edgebert.compress.distill import Lesson, Teacher, train_student
from edgebert.compress.progress import progress
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.data.examples import Example
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import Recipe, VocabularySettings, settings_dict
from edgebert.runtime.encode import TextEncoder
from edgebert.strict_json import Json
from edgebert.tasks.device import Task
from edgebert.tasks.training_table import training_task

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

VERSION = 4
# Longer than any text: words beyond the model's longest input count too, so truncated texts keep their tokens.
WHOLE_TEXT = 1 << 20


def cut_vocabulary(source: Path, data: TaskData, settings: VocabularySettings, run: Run, out: Path) -> StageReport:
    """Keep the tokens that occur in the corpus; drop all others from tokenizer, word table and output layer.

    The corpus is the training text, the unlabelled text and the files of `[vocabulary] corpus`. With `minimum_count =
    1` and without `size` and `rank`, the model's outputs for every text of the corpus stay the same, bit for bit.

    Args:
        source: Folder of the model.
        data: Texts of every split; validation and test are not part of the corpus, only of the report.
        settings: The recipe's `[vocabulary]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the model with the smaller vocabulary, not yet recovered by training.

    Returns:
        The stage's arguments; tokens in the vocabulary before and after, bytes saved; for every split the share of
        texts that are now split differently, and the share of unknown tokens before and after.

    Raises:
        SettingsError: The tokenizer cannot be reduced, or `size` is too small for the tokens that must stay.
        CheckpointError: The tokenizer has more tokens than the word table has rows.
    """
    tokenizer = run.loaded.tokenizer(source)
    model = checkpoint.load_model(source, run.task, data.label_names)
    document = pieces_of(tokenizer)
    before = Reader.of(run.encoder(tokenizer, out), data)
    counts, named = _counts(data, settings, TextEncoder(out / "tokenizer.json", WHOLE_TEXT))
    needed = {*pieces.always_kept(document), *named, *tokenizer.all_special_ids, *_config_ids(model.config)}
    kept = ordered(choose(counts, needed, pieces.taken_along(document), settings), model.config)
    smaller = cut_model(model, kept, run.task)
    metrics: dict[str, Json] = {"pieces_before": len(tokenizer), "pieces": len(kept)}
    if settings.rank:
        metrics["norm_kept"] = round(low_rank.factor_table(smaller, settings.rank), 6)
    checkpoint.save_model(smaller, tokenizer, out)
    tokenizer = _put_tokenizer(pieces.cut(document, kept), out)
    metrics["bytes_saved"] = _weight_bytes(source) - _weight_bytes(out)
    after = Reader.of(run.loaded.encoder(out / "tokenizer.json", run.max_length), data)
    return StageReport("vocabulary", cut_settings(settings), metrics | _effects(data, before, after, kept, tokenizer))


def recover_vocabulary(
    source: Path, teacher: Teacher, data: TaskData, settings: VocabularySettings, run: Run, out: Path
) -> StageReport:
    """Distil the teacher, cut to the same vocabulary, into the model with the smaller vocabulary.

    Args:
        source: Folder of the model with the smaller vocabulary.
        teacher: The teacher with the same vocabulary, and the teacher layers that the model's layers correspond to.
        data: Labelled and unlabelled examples.
        settings: The recipe's `[vocabulary]` table, with `recover`.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the recovered model.
    """
    assert settings.recover is not None
    student = checkpoint.load_model(source, run.task, data.label_names)
    lesson = Lesson("recover-vocabulary", "vocabulary.recover", settings.recover, settings.loss)
    return train_student(student, teacher, data, lesson, run, out)


def check_vocabulary(folder: Path, recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuse a `[vocabulary]` table that the checkpoint or the task does not allow.

    Raises:
        SettingsError: The tokenizer cannot be reduced, the rank is not possible, or the task uses the table for its
            outputs as well and cannot have a rank.
    """
    assert recipe.vocabulary is not None
    pieces.check_supported(pieces_of(tokenizer))
    rank = recipe.vocabulary.rank
    if not rank:
        return
    low_rank.check_rank(checkpoint.load_config(folder), rank)
    width = recipe.distill.hidden_size if recipe.distill else 0
    if width and rank >= width:
        raise SettingsError(f"vocabulary.rank is {rank}, but the student is {width} wide; give a lower rank")
    if training_task(recipe.task).outputs_vocabulary:
        raise SettingsError(
            f"vocabulary.rank is {rank}: the outputs of {recipe.task} are read from the whole table, "
            "which would remain in addition to the narrow one; leave rank out"
        )


def cut_settings(settings: VocabularySettings) -> dict[str, Json]:
    """The settings of the recipe's `[vocabulary]` table that the cut depends on."""
    return {name: value for name, value in settings_dict(settings).items() if name not in ("recover", "loss")}


def pieces_of(tokenizer: PreTrainedTokenizerFast) -> pieces.Document:
    """The contents of `tokenizer.json` for a tokenizer of transformers."""
    document: pieces.Document = json.loads(tokenizer.backend_tokenizer.to_str())
    return document


def choose(
    counts: Mapping[int, int],
    needed: Iterable[int],
    taken_along: Callable[[int], set[int]],
    settings: VocabularySettings,
) -> set[int]:
    """Choose the ids to keep: first those needed, then the most frequent, each with the ids that it needs.

    Args:
        counts: Count of every token in the corpus.
        needed: Ids that always stay.
        taken_along: From an id to the ids that must stay with it.
        settings: Minimum count and maximum size.

    Raises:
        SettingsError: The size is too small for the needed ids.
    """
    kept = {number for one in needed for number in taken_along(one)}
    if settings.size and len(kept) > settings.size:
        raise SettingsError(
            f"vocabulary.size is {settings.size}, but special tokens, single characters and vocabulary.keep are "
            f"{len(kept)} tokens; give at least that, or 0 for no limit"
        )
    frequent = [number for number, count in counts.items() if count >= settings.minimum_count]
    for number in sorted(frequent, key=lambda number: (-counts[number], number)):
        more = taken_along(number) - kept
        if not settings.size or len(kept) + len(more) <= settings.size:
            kept |= more
    return kept


def ordered(kept: set[int], config: PreTrainedConfig) -> list[int]:
    """Order ids by their new numbers; the padding id keeps its number if positions are counted from it.

    Raises:
        CheckpointError: The word table lacks a row for one of them, or too few are left for padding to keep its id.
    """
    order = sorted(kept)
    if order[-1] >= config.vocab_size:
        raise CheckpointError(
            f"the tokenizer has a token with the id {order[-1]}, but config.json states a word table of "
            f"{config.vocab_size} rows; save model and tokenizer together"
        )
    padding = config.pad_token_id
    if arch.family_of(config).skips_padding:
        order.remove(padding)
        order.insert(padding, padding)
        if order.index(padding) != padding:
            raise CheckpointError(
                f"[vocabulary]: padding has the id {padding}, from which positions are counted, and only {len(order)} "
                "tokens stay; leave the table out"
            )
    return order


def cut_model(model: PreTrainedModel, kept: Sequence[int], task: str) -> PreTrainedModel:
    """Reduce all of a model's tables with one row per token to the kept ids, in their order."""
    config = copy.deepcopy(model.config)
    numbers = {old: new for new, old in enumerate(kept)}
    for name, number in _special_ids(config).items():
        setattr(config, name, numbers.get(number))
    config.vocab_size = len(kept)
    smaller = checkpoint.new_model(config, task)
    rows, shapes = torch.tensor(kept), {name: weight.shape for name, weight in smaller.state_dict().items()}
    state = {}
    for name, weight in model.state_dict().items():
        for axis, (before, after) in enumerate(zip(weight.shape, shapes[name], strict=True)):
            weight = weight if before == after else weight.index_select(axis, rows)
        state[name] = weight
    smaller.load_state_dict(state)
    return smaller.eval()


@dataclass(frozen=True)
class Reader:
    """Encode rows with one tokenizer as the device does."""

    encoder: TextEncoder
    task: Task
    segments: int

    @classmethod
    def of(cls, encoder: TextEncoder, data: TaskData) -> Reader:
        """A reader for the task of the data."""
        return cls(encoder, data.device_task(encoder), data.segments)

    def ids(self, example: Example) -> list[list[int]]:
        """Token ids of every window of a row; if a row has no second text, those of the first."""
        if self.segments > 1 and example.text_pair is None:
            return [self.encoder.encode(example.text).ids]
        with example.told():
            return [window.ids for window in self.task.encode(self.task.given(example))]


def _put_tokenizer(document: pieces.Document, folder: Path) -> PreTrainedTokenizerFast:
    """Replace a folder's tokenizer, saved as transformers reads it."""
    (folder / "tokenizer.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    tokenizer = checkpoint.load_tokenizer(folder)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _counts(data: TaskData, settings: VocabularySettings, encoder: TextEncoder) -> tuple[Counter[int], set[int]]:
    """Count every token in the corpus, and add the tokens of the words that the recipe names."""
    reader, counts = Reader.of(encoder, data), Counter[int]()
    training = data.training_task
    for example in progress([*data.train, *data.unlabelled], desc="count pieces", unit="text"):
        found = _tally(reader.ids(example))
        # Training sees the tokens that the device hides in a text.
        found |= _tally([window.ids for window in training.own_windows(reader.task, example) or ()])
        counts.update(found)
    for example in progress(data.corpus, desc="count pieces", unit="text"):
        counts.update(_tally(reader.ids(example)) | _running(encoder, example.text))
    return counts, {number for word in settings.keep for number in _running(encoder, word)}


def _running(encoder: TextEncoder, text: str) -> Counter[int]:
    """Tokens of a text at the start and after a space: byte-level tokenizers split the two differently."""
    return _tally([encoder.encode(text).ids]) | _tally([encoder.encode(f" {text}").ids])


def _tally(windows: Iterable[Sequence[int]]) -> Counter[int]:
    return Counter(number for window in windows for number in window)


def _effects(
    data: TaskData,
    before: Reader,
    after: Reader,
    kept: Sequence[int],
    tokenizer: PreTrainedTokenizerFast,
) -> dict[str, float]:
    """For every split: the share of texts that are split differently, and of unknown tokens."""
    corpus = [*data.train, *data.unlabelled, *data.corpus]
    unknown = None if tokenizer.unk_token_id is None else kept[tokenizer.unk_token_id]
    special = {kept[number] for number in tokenizer.all_special_ids} - {unknown}
    shares: dict[str, float] = {}
    for split, examples in (("corpus", corpus), ("validation", data.validation), ("test", data.test)):
        if not examples:
            continue
        changed, ours, theirs = 0, Counter[int](), Counter[int]()
        for example in progress(examples, desc=f"compare {split}", unit="text"):
            old = before.ids(example)
            new = [[kept[number] for number in window] for window in after.ids(example)]
            changed += old != new
            theirs.update(_tally(old))
            ours.update(_tally(new))
        shares[f"{split}_changed"] = round(changed / len(examples), 6)
        shares[f"{split}_unknown_before"] = _share(theirs, unknown, special)
        shares[f"{split}_unknown"] = _share(ours, unknown, special)
    return shares


def _share(counts: Counter[int], number: int | None, special: set[int]) -> float:
    ordinary = sum(count for piece, count in counts.items() if piece not in special)
    return round(counts[number] / ordinary, 6) if number is not None and ordinary else 0.0


def _special_ids(config: PreTrainedConfig) -> dict[str, int]:
    entries = config.to_dict().items()
    return {name: number for name, number in entries if name.endswith("_token_id") and isinstance(number, int)}


def _config_ids(config: PreTrainedConfig) -> set[int]:
    return {number for number in _special_ids(config).values() if 0 <= number < config.vocab_size}


def _weight_bytes(folder: Path) -> int:
    return (folder / "model.safetensors").stat().st_size
