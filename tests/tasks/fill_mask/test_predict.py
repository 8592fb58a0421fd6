"""Masked words on the device: candidates for every mask, invalid texts, seeded masks for scoring."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.decoders import WordPiece as Pieces
from tokenizers.models import BPE, WordPiece
from tokenizers.pre_tokenizers import ByteLevel, Whitespace
from tokenizers.processors import TemplateProcessing

from edgebert.data.examples import Columns, Example
from edgebert.errors import BundleError, TextError
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.quality import evaluate, measure_quality
from edgebert.tasks.fill_mask.predict import Candidate, Filled, FillMask, FillMaskModel
from edgebert.tasks.fill_mask.spec import SPEC, Settings, read

WORDS = ["[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##s"]
LONG = "a b c a b c a b c a b c a b c a b c"


class NextSession:
    """Prefers the token after the last one before the mask, in the order of the vocabulary."""

    batching = ANY_LENGTHS

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: dict[str, Any]) -> Any:
        ids = inputs["input_ids"]
        self.shapes.append(ids.shape)
        logits = np.zeros((*ids.shape, len(WORDS)), dtype=np.float32)
        before = np.concatenate([ids[:, :1], ids[:, :-1]], axis=1)
        for row in range(len(ids)):
            logits[row, range(ids.shape[1]), (before[row] + 1) % len(WORDS)] = 3.0
            logits[row, :, 4] += 1.0
        return (logits,)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., FillMaskModel]:
    def build(mask: str = "[MASK]", **settings: Any) -> FillMaskModel:
        words = [mask if word == "[MASK]" else word for word in WORDS]
        tokenizer = Tokenizer(WordPiece({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
        tokenizer.add_special_tokens(words[:4])
        tokenizer.pre_tokenizer, tokenizer.decoder = Whitespace(), Pieces()
        tokenizer.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        inputs = ["input_ids", "attention_mask"]
        manifest = {"labels": [], "inputs": inputs, "segments": 1, "head": {"settings": settings}, "data": {}}
        return FillMaskModel(
            facts_of(manifest),
            FillMask(facts_of(manifest), TextEncoder(tmp_path / "tokenizer.json", 12)),
            NextSession(),
        )

    return build


@pytest.fixture
def model(make: Callable[..., FillMaskModel]) -> FillMaskModel:
    return make(top_k=3)


def test_every_mask_gets_its_likeliest_tokens_with_their_probabilities(model: FillMaskModel) -> None:
    answer = model("a [MASK] b [MASK]")
    assert [[one.token for one in several][:2] for several in answer.masks] == [["b", "a"], ["c", "a"]]
    assert [len(several) for several in answer.masks] == [3, 3]
    total = np.exp(3.0) + np.exp(1.0) + 6
    assert answer.masks[0][0].score == pytest.approx(np.exp(3.0) / total, rel=1e-5)
    assert answer.masks[0][1].score == pytest.approx(np.exp(1.0) / total, rel=1e-5)
    assert answer.hidden == []
    assert answer.truncated is False


@pytest.mark.parametrize("count", [1, 5, 8, 50])
def test_as_many_candidates_as_asked_for_best_first(count: int, make: Callable[..., FillMaskModel]) -> None:
    scores = [one.score for one in make(top_k=count)("a [MASK]").masks[0]]
    assert len(scores) == min(count, len(WORDS) - 4)
    assert scores == sorted(scores, reverse=True)


def test_what_never_stands_in_a_text_is_no_candidate(model: FillMaskModel) -> None:
    [likeliest] = model("[MASK] a").masks  # the session's favourite behind [CLS] is [SEP]
    assert [one.token for one in likeliest] == ["a", "b", "c"]


def test_five_candidates_where_nothing_is_said() -> None:
    assert Settings().top_k == 5


def test_a_piece_that_goes_on_a_word_keeps_its_mark(model: FillMaskModel) -> None:
    assert model("c [MASK]").masks[0][0].token == "##s"


def test_the_mask_is_written_alike_for_every_tokenizer(make: Callable[..., FillMaskModel]) -> None:
    assert make(mask="<mask>")("a [MASK]").masks[0][0].token == "b"
    assert make(mask="<mask>")("a <mask>").masks[0][0].token == "b"


def test_a_tokenizer_without_a_mask_is_refused(make: Callable[..., FillMaskModel]) -> None:
    with pytest.raises(BundleError, match=r"no \[MASK\] or <mask>"):
        make(mask="[HOLE]")("a [MASK]")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a b c", r"text 'a b c' holds no \[MASK\]; write \[MASK\] in place of the word to predict"),
        (f"{LONG} [MASK]", r"holds no \[MASK\] among its first 12 tokens"),
        ("", "holds no token"),
        (None, "text is NoneType None; give a str"),
        (("a", "b"), "a pair of texts was given, but this bundle takes single texts; give one text"),
        (("a", "b", "c"), "a tuple of 3 was given, but this bundle takes single texts"),
        (((3,)), "text is int 3; give a str"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(text: Any, says: str, model: FillMaskModel) -> None:
    with pytest.raises(TextError, match=says):
        model(text)


def test_a_text_cut_after_a_mask_is_answered_and_says_so(model: FillMaskModel) -> None:
    answer = model(f"[MASK] {LONG} [MASK]")
    assert len(answer.masks) == 1
    assert answer.truncated is True


def test_a_prediction_is_a_line_and_plain_json(model: FillMaskModel) -> None:
    filled = Filled([[Candidate("b", 0.75, 5), Candidate("a", 0.125, 4)], [Candidate("c", 0.5, 6)]], False)
    assert str(filled) == "b 0.7500, a 0.1250 | c 0.5000"
    assert json.loads(json.dumps(asdict(model("a [MASK]"))))["masks"][0][0]["token"] == "b"


@pytest.mark.parametrize("text", ["a", "a b c", LONG])
def test_a_row_is_asked_with_hidden_tokens_of_its_own_always_the_same(text: str, model: FillMaskModel) -> None:
    example = Example(text, None, text, 1)
    windows = [model.task.encode(model.task.given(example))[0] for _ in range(2)]
    assert windows[0] == windows[1]
    plain, ids = model.task.encoder.encode(text).ids, windows[0].ids  # type: ignore[attr-defined]
    changed = [at for at, (before, after) in enumerate(zip(plain, ids, strict=True)) if before != after]
    assert len(changed) == max(1, round(0.15 * (len(plain) - 2)))
    assert {ids[at] for at in changed} == {3}
    assert changed[0] > 0
    assert changed[-1] < len(ids) - 1
    assert windows[0].masks == {at: plain[at] for at in changed}


def test_texts_of_one_length_hide_different_places(model: FillMaskModel) -> None:
    texts = ["a b c a b c", "b c a b c a", "c a b c a b", "a a b b c c", "c c b b a a", "a b a b a b"]
    assert len({tuple(model.task.encode((text,))[0].masks) for text in texts}) > 1


def test_accuracy_is_the_share_of_hidden_tokens_that_come_first(model: FillMaskModel) -> None:
    texts = ["a b c a b c a b", "b b b", "c", "a b"]
    answers = [model((text,)) for text in texts]
    found = [model.task.predicted(answer) for answer in answers]
    for answer, pairs in zip(answers, found, strict=True):
        assert [model.task.encoder.token(hidden) for hidden, _ in pairs] == answer.hidden  # type: ignore[attr-defined]
        assert [likeliest for _, likeliest in pairs] == [several[0].id for several in answer.masks]
    expected = [model.task.expected(Example(text, None, text, 1)) for text in texts]
    quality = measure_quality("accuracy", SPEC.metrics["accuracy"], expected, found)
    flat = [hidden == likeliest for pairs in found for hidden, likeliest in pairs]
    assert 0 < sum(flat) < len(flat)
    assert quality.value == pytest.approx(sum(flat) / len(flat))
    assert quality.n == 4


def test_tokens_weigh_alike_however_they_spread_over_texts() -> None:
    metric = SPEC.metrics["accuracy"]
    assert metric.figure(metric.table([True] * 2, [[(4, 4), (5, 5), (6, 4)], [(5, 6)]])) == 0.5


def test_a_list_is_answered_batch_by_batch(model: FillMaskModel) -> None:
    texts = ["a [MASK]", "a b c [MASK] b", "c [MASK]", "b b [MASK]", "[MASK]"]
    answers = model(texts, batch_size=2)
    assert [shape[0] for shape in model._session.shapes] == [2, 2, 1]  # type: ignore[attr-defined]
    assert answers == [model(text) for text in texts]


BYTE_LEVEL = ["<s>", "</s>", "<mask>", "the", "Ġthe"]


class FixedSession:
    """Always answers with the same token."""

    batching = ANY_LENGTHS

    def __init__(self, answer: int) -> None:
        self.answer = answer

    def run(self, inputs: dict[str, Any]) -> Any:
        logits = np.zeros((*inputs["input_ids"].shape, len(BYTE_LEVEL)), dtype=np.float32)
        logits[..., self.answer] = 3.0
        return (logits,)


@pytest.mark.parametrize(("answer", "accuracy"), [("Ġthe", 1.0), ("the", 0.0)])
def test_a_token_with_a_space_before_it_is_another_token_than_the_one_without(
    answer: str, accuracy: float, tmp_path: Path
) -> None:
    ids = {token: at for at, token in enumerate(BYTE_LEVEL)}
    tokenizer = Tokenizer(BPE(ids, []))
    tokenizer.add_special_tokens(BYTE_LEVEL[:3])
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), ByteLevelDecoder()
    model_json = json.loads(tokenizer.to_str())
    model_json["model"]["ignore_merges"] = True
    tokenizer = Tokenizer.from_str(json.dumps(model_json))
    tokenizer.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    manifest: dict[str, Any] = {"task": "fill-mask", "labels": [], "inputs": ["input_ids", "attention_mask"]}
    manifest |= {"segments": 1, "head": {"settings": {}}, "data": {}}
    task = FillMask(facts_of(manifest), TextEncoder(tmp_path / "tokenizer.json", 12))
    model = FillMaskModel(facts_of(manifest), task, FixedSession(ids[answer]))
    filled = model((" the the",))
    assert filled.hidden == ["the"]
    assert filled.hidden_ids == [ids["Ġthe"]]
    assert (filled.masks[0][0].token, filled.masks[0][0].id) == ("the", ids[answer])
    rows = [Example(" the the", None, " the the", 1)]
    assert evaluate(model, rows, "accuracy").value == accuracy


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.txt", "a b\n\nc\n"),
        ("d.tsv", "label\ttext\n0\ta b\n1\tc\n"),
        ("d.jsonl", '{"text": "a b"}\n{"text": "c", "label": 3}\n'),
    ],
)
def test_any_file_of_texts_is_read_and_a_text_is_its_own_label(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    rows = read(tmp_path / name, Columns(text_pair="other"), Settings())
    assert [(row.text, row.text_pair, row.label) for row in rows] == [("a b", None, "a b"), ("c", None, "c")]
