"""The synthetic smart-home corpus: its counts, offsets, held-out sentences and files."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from random import Random

import pytest

from examples.smart_home import corpus as demo_corpus
from examples.smart_home.corpus import OUT_OF_SCOPE_SHARE, UNSEEN, Utterance, generate, main, write_corpus
from examples.smart_home.grammar import INTENTS, OUT_OF_SCOPE, TEMPLATES, templates
from examples.smart_home.noise import Word, add_noise
from examples.smart_home.slots import (
    FILLER_VALUES,
    POOLS,
    SLOT_VALUES,
    held_out_values,
    number_words,
    select_pool,
    values,
)

SPLITS = ("train", "validation", "test")
HELD_OUT = {label: held_out_values(label) for label in SLOT_VALUES}

Corpus = dict[str, list[Utterance]]


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return generate(7)


@pytest.fixture(scope="module")
def clean() -> Corpus:
    return generate(7, noise_share=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "made" / "on the way"
    write_corpus(folder, seed=7)
    return folder


def slot_texts(utterance: Utterance) -> list[tuple[str, str]]:
    return [(slot.label, utterance.text[slot.start : slot.end]) for slot in utterance.slots]


def frame(utterance: Utterance) -> str:
    """The sentence with every slot replaced by its label."""
    text = utterance.text
    for slot in reversed(utterance.slots):
        text = f"{text[: slot.start]}{{{slot.label}}}{text[slot.end :]}"
    return text


def expansions(template: str) -> set[str]:
    """Every sentence pattern that one template can make."""
    pieces = re.split(r"\(([^()]*)\)", template.removeprefix("!"))
    options = [piece.split("|") if place % 2 else [piece] for place, piece in enumerate(pieces)]
    return {" ".join("".join(choice).split()) for choice in product(*options)}


def test_default_counts(corpus: Corpus) -> None:
    assert {split: len(rows) for split, rows in corpus.items()} == {
        "train": 6000,
        "validation": 800,
        "test": 1200,
    }


def test_counts_follow_the_arguments() -> None:
    small = generate(1, train=50, validation=20, test=0)
    assert [len(small[split]) for split in SPLITS] == [50, 20, 0]


@pytest.mark.parametrize("wrong", [{"train": -1}, {"test": -5}, {"noise_share": 1.5}, {"noise_share": -0.1}])
def test_impossible_arguments_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="noise_share"):
        generate(1, **wrong)  # type: ignore[arg-type]


def test_more_utterances_than_the_templates_can_make_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_corpus, "templates", lambda intent, pool: ("stop",))
    with pytest.raises(ValueError, match="cannot make that many different train utterances"):
        generate(1, train=6000, validation=0, test=0)


def test_twelve_intents_beside_out_of_scope_and_twelve_slot_types(corpus: Corpus) -> None:
    intents = {row.intent for row in corpus["train"]}
    labels = {slot.label for row in corpus["train"] for slot in row.slots}
    assert len(intents - {OUT_OF_SCOPE}) >= 12
    assert len(labels) >= 12
    assert labels == set(SLOT_VALUES)


@pytest.mark.parametrize("split", SPLITS)
def test_every_intent_is_in_every_split_and_evenly(corpus: Corpus, split: str) -> None:
    counts = Counter(row.intent for row in corpus[split])
    assert set(counts) == set(INTENTS)
    assert counts.pop(OUT_OF_SCOPE) == round(OUT_OF_SCOPE_SHARE * len(corpus[split]))
    assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("split", SPLITS)
def test_texts_look_like_a_speech_recognisers(corpus: Corpus, split: str) -> None:
    for row in corpus[split]:
        assert re.fullmatch(r"[a-z]+( [a-z]+)*", row.text), row.text


@pytest.mark.parametrize("split", SPLITS)
def test_spans_start_and_end_at_word_borders_and_do_not_overlap(corpus: Corpus, split: str) -> None:
    for row in corpus[split]:
        last = -1
        for slot in row.slots:
            assert last < slot.start < slot.end <= len(row.text)
            found = row.text[slot.start : slot.end]
            assert found == found.strip()
            assert f" {row.text} "[slot.start] == " "
            assert f" {row.text} "[slot.end + 1] == " "
            last = slot.end


@pytest.mark.parametrize("split", SPLITS)
def test_without_noise_a_span_is_a_slot_value(clean: Corpus, split: str) -> None:
    for row in clean[split]:
        for label, found in slot_texts(row):
            assert found in SLOT_VALUES[label]


def test_out_of_scope_has_no_slots_and_mentions_the_home(corpus: Corpus) -> None:
    rows = [row for row in corpus["train"] if row.intent == OUT_OF_SCOPE]
    assert all(row.slots == () for row in rows)
    assert any("kitchen" in row.text for row in rows)


@pytest.mark.parametrize("split", SPLITS)
def test_noise_touches_three_in_ten_and_keeps_slots(corpus: Corpus, clean: Corpus, split: str) -> None:
    pairs = list(zip(corpus[split], clean[split], strict=True))
    noised = [(row, was) for row, was in pairs if row.text != was.text]
    assert 0.25 <= len(noised) / len(pairs) <= 0.35
    for row, was in noised:
        assert (row.intent, row.unseen) == (was.intent, was.unseen)
        assert [slot.label for slot in row.slots] == [slot.label for slot in was.slots]
    assert any(slot_texts(row) != slot_texts(was) for row, was in noised)


def test_most_spans_keep_their_value_through_noise(corpus: Corpus, clean: Corpus) -> None:
    pairs = [
        (found, was)
        for row, clean_row in zip(corpus["train"], clean["train"], strict=True)
        if row.text != clean_row.text
        for found, was in zip(slot_texts(row), slot_texts(clean_row), strict=True)
    ]
    kept = sum(found == was for found, was in pairs)
    assert 0.6 <= kept / len(pairs) < 1


def test_same_seed_same_corpus_and_another_seed_another() -> None:
    sizes = {"train": 300, "validation": 60, "test": 60}
    assert generate(3, **sizes) == generate(3, **sizes)
    assert generate(3, **sizes) != generate(4, **sizes)


def test_no_text_occurs_twice(corpus: Corpus) -> None:
    texts = [row.text for split in SPLITS for row in corpus[split]]
    assert len(texts) == len(set(texts))


def test_training_never_shows_a_held_out_value(corpus: Corpus) -> None:
    for row in corpus["train"]:
        for label, found in slot_texts(row):
            assert found not in HELD_OUT[label]


def test_noise_never_makes_a_held_out_value_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def mishear_as_held_out(words: Sequence[Word], random: Random) -> list[Word]:
        return [Word("basement" if word.text == "kitchen" else word.text, word.slot) for word in words]

    monkeypatch.setattr(demo_corpus, "add_noise", mishear_as_held_out)
    monkeypatch.setitem(SLOT_VALUES, "room", ("kitchen", "study", "basement"))
    train = generate(1, train=300, validation=0, test=0, noise_share=1)["train"]
    rooms = {found for row in train for label, found in slot_texts(row) if label == "room"}
    assert rooms == {"kitchen", "study"}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_clean_slots_come_from_the_pool_that_unseen_names(clean: Corpus, split: str) -> None:
    for row in clean[split]:
        pool = split if row.unseen in ("values", "both") else "train"
        for label, found in slot_texts(row):
            assert found in values(label, pool)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_four_unseen_groups_are_alike_in_size(corpus: Corpus, split: str) -> None:
    counts = Counter(row.unseen for row in corpus[split])
    assert set(counts) == set(UNSEEN)
    assert min(counts.values()) >= 0.2 * len(corpus[split])
    assert {row.unseen for row in corpus["train"]} == {"none"}


def test_groups_with_unseen_values_really_hold_one(clean: Corpus) -> None:
    rows = [row for row in clean["test"] if row.unseen in ("values", "both") and row.intent != OUT_OF_SCOPE]
    assert rows
    assert all(any(found in HELD_OUT[label] for label, found in slot_texts(row)) for row in rows)


def test_groups_with_an_unseen_template_have_frames_training_lacks(clean: Corpus) -> None:
    frames = {frame(row) for row in clean["train"]}
    commands = [row for row in clean["test"] if row.intent != OUT_OF_SCOPE]
    new = [row for row in commands if row.unseen in ("template", "both")]
    assert new
    assert not [frame(row) for row in new if frame(row) in frames]
    assert any(frame(row) in frames for row in commands if row.unseen == "none")


def test_no_frame_belongs_to_two_pools_or_two_intents() -> None:
    owners: dict[str, set[tuple[str, str]]] = {}
    for intent, pool in product(INTENTS, POOLS):
        for template in templates(intent, pool):
            for sentence in expansions(template):
                owners.setdefault(sentence, set()).add((intent, pool))
    assert {sentence: who for sentence, who in owners.items() if len(who) > 1} == {}


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_has_many_templates_and_some_in_each_pool(intent: str) -> None:
    assert len(TEMPLATES[intent]) >= 14
    assert len(set(TEMPLATES[intent])) == len(TEMPLATES[intent])
    assert min(len(templates(intent, pool)) for pool in POOLS) >= 2


@pytest.mark.parametrize("label", [*SLOT_VALUES, *FILLER_VALUES])
def test_no_value_is_in_two_pools(label: str) -> None:
    pools = [set(values(label, pool)) for pool in POOLS]
    assert all(pools)
    assert sum(map(len, pools)) == len(set.union(*pools))


def test_an_unknown_pool_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown pool 'dev'"):
        select_pool(("a", "b"), "dev")


@pytest.mark.parametrize(
    ("number", "spelt"),
    [(0, "zero"), (14, "fourteen"), (21, "twenty one"), (90, "ninety"), (100, "one hundred")],
)
def test_numbers_are_spelt_out(number: int, spelt: str) -> None:
    assert number_words(number) == spelt


@pytest.mark.parametrize("number", [-1, 101])
def test_a_number_out_of_range_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="0 to 100"):
        number_words(number)


def test_noise_keeps_every_slot_and_each_in_one_piece() -> None:
    sentence = [
        Word("set"),
        Word("living", 0),
        Word("room", 0),
        Word("to"),
        Word("twenty", 1),
        Word("degrees", 1),
    ]
    for seed in range(500):
        order = [word.slot for word in add_noise(sentence, Random(seed)) if word.slot is not None]
        assert order == sorted(order)
        assert set(order) == {0, 1}
        slots = [word.slot for word in add_noise(sentence, Random(seed))]
        first = slots[slots.index(0) : len(slots) - slots[::-1].index(0)]
        assert set(first) == {0}


def test_files_hold_the_corpus(folder: Path, corpus: Corpus) -> None:
    for split in SPLITS:
        records = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text("utf-8").splitlines()]
        assert len(records) == len(corpus[split])
        keys = {"text", "intent", "slots"} | ({"unseen"} if split == "test" else set())
        for record, row in zip(records, corpus[split], strict=True):
            assert set(record) == keys
            assert record["text"] == row.text
            assert record["intent"] == row.intent
            assert [(slot["label"], slot["start"], slot["end"]) for slot in record["slots"]] == [
                (slot.label, slot.start, slot.end) for slot in row.slots
            ]
            assert record.get("unseen", row.unseen) == row.unseen


def test_no_temporary_file_is_left(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]


def test_a_failed_write_leaves_only_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.jsonl").write_text("old\n")

    def fail(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_corpus(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]
    assert (tmp_path / "train.jsonl").read_text() == "old\n"


def test_command_line_writes_the_same_bytes_in_another_process(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "examples.smart_home.corpus", str(tmp_path)]
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    for split in SPLITS:
        assert (tmp_path / f"{split}.jsonl").read_bytes() == (folder / f"{split}.jsonl").read_bytes()
    assert done.stdout.count("\n") == 1
    for part in ("synthetic", "6000", "800", "1200", str(tmp_path / "test.jsonl")):
        assert part in done.stdout


def test_command_line_takes_a_seed(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "new" / "folder"), "--seed", "8"]) == 0
    assert "seed 8" in capsys.readouterr().out
    written = (tmp_path / "new" / "folder" / "train.jsonl").read_bytes()
    assert written != (folder / "train.jsonl").read_bytes()


def test_command_line_says_when_it_cannot_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main([str(tmp_path / "file")]) == 1
    assert "cannot write the corpus" in capsys.readouterr().err
