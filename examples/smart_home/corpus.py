"""A synthetic corpus of spoken smart-home commands, made from our own templates and a seed.

No sentence comes from a data set. Some templates and slot values do not occur in training. Validation and test each
have their own share of these, so that their accuracy also measures sentences that the model has not memorized.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random

from examples.smart_home.grammar import ENDINGS, INTENTS, OPENINGS, ORDER_OPENINGS, OUT_OF_SCOPE, templates
from examples.smart_home.noise import Word, add_noise
from examples.smart_home.slots import SLOT_VALUES, held_out_values, values

OUT_OF_SCOPE_SHARE = 0.1
NOISE_SHARE = 0.3
UNSEEN = ("none", "values", "template", "both")

_OPENING_SHARE = 0.45
_ENDING_SHARE = 0.2
_DRAWS_PER_SENTENCE = 400
_NOISE_TRIES = 20
_CHOICE = re.compile(r"\(([^()]*)\)")
_PIECE = re.compile(r"\{(\w+)\}|([a-z]+)")


@dataclass(frozen=True)
class Slot:
    """A labelled part of the text: characters from `start` to `end`, without `end`."""

    label: str
    start: int
    end: int


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence with its intent and slots.

    `unseen` names the parts that do not occur in training: "none", "values", "template" or "both".
    """

    text: str
    intent: str
    slots: tuple[Slot, ...]
    unseen: str


@dataclass(frozen=True)
class _Draft:
    """A sentence as words. `labels[n]` is the type of its slot n. Unlabelled fillers count too but are not recorded."""

    words: tuple[Word, ...]
    labels: tuple[str, ...]
    intent: str
    unseen: str

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def generate(
    seed: int = 7,
    train: int = 6000,
    validation: int = 800,
    test: int = 1200,
    noise_share: float = NOISE_SHARE,
) -> dict[str, list[Utterance]]:
    """Make the three splits of the corpus; no text occurs twice in it.

    The same arguments give the same corpus in every process. With `noise_share` 0, each utterance is the clean form of
    the utterance at the same position in the corpus with noise.

    Args:
        seed: Any whole number.
        train: Number of training utterances.
        validation: Number of validation utterances.
        test: Number of test utterances.
        noise_share: The share of utterances, 0 to 1, that get one or two mistakes of a speech recogniser.

    Returns:
        The utterances of "train", "validation" and "test".

    Raises:
        ValueError: A count is negative or larger than the templates can make, or the share is out of range.
    """
    counts = {"train": train, "validation": validation, "test": test}
    if min(counts.values()) < 0 or not 0 <= noise_share <= 1:
        raise ValueError(f"counts must be 0 or more and noise_share 0 to 1: {counts}, {noise_share}")
    used: set[str] = set()
    # Make the held-out splits first: they have the fewest combinations, and training must not use these up.
    order = ("test", "validation", "train")
    drafts = {split: _draw_split(split, counts[split], seed, used) for split in order}
    return {split: _speak_split(split, drafts[split], seed, noise_share, used) for split in counts}


def write_corpus(folder: Path, seed: int = 7) -> list[Path]:
    """Write train.jsonl, validation.jsonl and test.jsonl. Each file is replaced atomically.

    Args:
        folder: Folder for the files. It is made, with its parents, if it does not exist.
        seed: Any whole number.

    Returns:
        The three paths, in that order.

    Raises:
        OSError: The folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for split, utterances in generate(seed).items():
        lines = [json.dumps(_record(utterance, with_unseen=split == "test")) for utterance in utterances]
        path = folder / f"{split}.jsonl"
        _replace_text(path, "\n".join(lines) + "\n")
        paths.append(path)
    return paths


def main(argv: Sequence[str] | None = None) -> int:
    """Write the corpus from the command line and return the exit code.

    Args:
        argv: The arguments without the program name. None: the arguments of the process.
    """
    parser = argparse.ArgumentParser(
        prog="python -m examples.smart_home.corpus",
        description="Write the synthetic smart-home corpus of the demo as JSON lines.",
    )
    parser.add_argument("folder", type=Path, help="where the three files go; made if missing")
    parser.add_argument("--seed", type=int, default=7, help="another seed gives another corpus (default: 7)")
    options = parser.parse_args(argv)
    try:
        paths = write_corpus(options.folder, options.seed)
    except OSError as error:
        sys.stderr.write(f"cannot write the corpus: {error}\n")
        return 1
    counts = [f"{path} ({len(path.read_text(encoding='utf-8').splitlines())} rows)" for path in paths]
    sys.stdout.write(f"synthetic smart-home corpus, seed {options.seed}: {', '.join(counts)}\n")
    return 0


def _draw_split(split: str, count: int, seed: int, used: set[str]) -> list[_Draft]:
    random = Random(f"{seed} draw {split}")
    out_of_scope = round(count * OUT_OF_SCOPE_SHARE)
    commands = [intent for intent in INTENTS if intent != OUT_OF_SCOPE]
    intents = [OUT_OF_SCOPE] * out_of_scope + list(islice(cycle(commands), count - out_of_scope))
    groups = {intent: cycle(("none",) if split == "train" else UNSEEN) for intent in INTENTS}
    drafts = [_draw_unused(intent, next(groups[intent]), split, random, used) for intent in intents]
    random.shuffle(drafts)
    return drafts


def _draw_unused(intent: str, unseen: str, split: str, random: Random, used: set[str]) -> _Draft:
    for _ in range(_DRAWS_PER_SENTENCE):
        draft = _draw(intent, unseen, split, random)
        # A sentence without slots cannot have the values that its group requires.
        if draft.text not in used and (draft.labels or unseen in ("none", "template")):
            used.add(draft.text)
            return draft
    raise ValueError(f"the templates of {intent} cannot make that many different {split} utterances")


def _draw(intent: str, unseen: str, split: str, random: Random) -> _Draft:
    template_pool = split if unseen in ("template", "both") else "train"
    value_pool = split if unseen in ("values", "both") else "train"
    sentence = _with_carriers(random.choice(templates(intent, template_pool)), random)
    words: list[Word] = []
    labels: list[str] = []
    for label, literal in _PIECE.findall(sentence):
        if literal:
            words.append(Word(literal))
        else:
            value = random.choice(values(label, value_pool))
            words += [Word(text, len(labels)) for text in value.split()]
            labels.append(label)
    return _Draft(tuple(words), tuple(labels), intent, unseen)


def _with_carriers(template: str, random: Random) -> str:
    chosen = _CHOICE.sub(lambda match: random.choice(match.group(1).split("|")), template)
    is_order = chosen.startswith("!")
    openings = OPENINGS + ORDER_OPENINGS if is_order else OPENINGS
    opening = random.choice(openings) if random.random() < _OPENING_SHARE else ""
    ending = random.choice(ENDINGS) if random.random() < _ENDING_SHARE else ""
    return f"{opening} {chosen.removeprefix('!')} {ending}"


def _speak_split(
    split: str, drafts: Sequence[_Draft], seed: int, noise_share: float, used: set[str]
) -> list[Utterance]:
    random = Random(f"{seed} noise {split}")
    utterances = []
    for draft in drafts:
        spoken = _noised(draft, split, random, used) if random.random() < noise_share else draft
        utterances.append(_utterance(spoken))
    return utterances


def _noised(draft: _Draft, split: str, random: Random, used: set[str]) -> _Draft:
    for _ in range(_NOISE_TRIES):
        noised = _Draft(tuple(add_noise(draft.words, random)), draft.labels, draft.intent, draft.unseen)
        if noised.text not in used and not (split == "train" and _shows_held_out(noised)):
            used.add(noised.text)
            return noised
    return draft


def _shows_held_out(draft: _Draft) -> bool:
    """A missing or misheard word can change one value into another, such as "light green" into "green"."""
    slots = _utterance(draft).slots
    return any(draft.text[slot.start : slot.end] in held_out_values(slot.label) for slot in slots)


def _utterance(draft: _Draft) -> Utterance:
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    position = 0
    for word in draft.words:
        if word.slot is not None:
            starts.setdefault(word.slot, position)
            ends[word.slot] = position + len(word.text)
        position += len(word.text) + 1
    slots = tuple(
        Slot(label, starts[number], ends[number])
        for number, label in enumerate(draft.labels)
        if draft.intent != OUT_OF_SCOPE and label in SLOT_VALUES
    )
    return Utterance(draft.text, draft.intent, slots, draft.unseen)


def _record(utterance: Utterance, with_unseen: bool) -> dict[str, object]:
    slots = [{"label": slot.label, "start": slot.start, "end": slot.end} for slot in utterance.slots]
    record: dict[str, object] = {"text": utterance.text, "intent": utterance.intent, "slots": slots}
    return {**record, "unseen": utterance.unseen} if with_unseen else record


def _replace_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
