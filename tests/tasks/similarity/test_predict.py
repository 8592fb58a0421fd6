"""Sentence similarity on the device: embeddings, cosines, truncated dimensions, exact search, files of pairs."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of, manifest_of
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from edgebert.data.examples import Columns, Example
from edgebert.errors import DataError, InputError, SettingsError, TextError
from edgebert.measure.scenarios.answers import work
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import TextEncoder
from edgebert.settings import fill
from edgebert.tasks.similarity.predict import Embedding, SentenceModel, SentenceSimilarity, Similarity
from edgebert.tasks.similarity.spec import Settings, read

STSB = Path(__file__).parents[3].parent / "shared" / "data" / "stsb"
WORDS = ["[UNK]", "[CLS]", "[SEP]", "a", "b", "c", "d"]
COLUMNS = Columns(text="one", text_pair="two", label="score")
TEXTS = ["a", "a b", "c", "d d d a", "b c", "a"]


class TableSession:
    """Embeds a text as the mean of one vector per token, as a graph with mean pooling."""

    batching = ANY_LENGTHS

    def __init__(self) -> None:
        self.table = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: dict[str, Any]) -> Any:
        self.shapes.append(inputs["input_ids"].shape)
        mask = inputs["attention_mask"][..., None]
        rows = (self.table[inputs["input_ids"]] * mask).sum(1) / mask.sum(1)
        return ((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32),)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., SentenceModel]:
    tokenizer = Tokenizer(WordPiece({word: at for at, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = TextEncoder(tmp_path / "tokenizer.json", 6)

    def build(**settings: Any) -> SentenceModel:
        inputs = ["input_ids", "attention_mask"]
        manifest = {"labels": [], "inputs": inputs, "segments": 2, "head": {"settings": settings}, "data": {}}
        return SentenceModel(facts_of(manifest), SentenceSimilarity(facts_of(manifest), encoder), TableSession())

    return build


@pytest.fixture
def model(make: Callable[..., SentenceModel]) -> SentenceModel:
    return make()


def test_texts_without_pairs_are_answered_by_their_embeddings(model: SentenceModel, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("a b\nc\n")
    columns = {"text": "text", "text_pair": "other", "label": "score"}
    model._manifest = manifest_of(task="similarity", data={"columns": columns})
    found = work(model, {"data": str(tmp_path / "texts.txt"), "metric": "spearman"}, lambda count: None)
    assert found["answers"] == [model(text).embedding for text in ("a b", "c")]
    assert found["quality"] is None


def test_an_array_of_texts_is_embedded_and_a_frame_is_refused(model: SentenceModel) -> None:
    np.testing.assert_array_equal(model.embed(np.array(["a b", "c"])), model.embed(["a b", "c"]))
    frame: Any = type("DataFrame", (), {"shape": (2, 1), "columns": ["a"], "__iter__": lambda self: iter(["a"])})()
    with pytest.raises(TextError, match=r"a DataFrame with the columns a was given"):
        model.embed(frame)


def test_a_text_gives_its_embedding_and_a_pair_its_cosine(model: SentenceModel) -> None:
    first, second = model("a b"), model("c")
    assert np.linalg.norm(first.embedding) == pytest.approx(1.0, abs=1e-6)
    cosine = float(np.dot(first.embedding, second.embedding))
    assert model(("a b", "c")).score == pytest.approx(cosine, abs=1e-6)
    assert model(("a b", "a b")).score == pytest.approx(1.0, abs=1e-6)
    answers = model([("a b", "c"), "c", ("c", "a b")])
    assert [type(answer) for answer in answers] == [Similarity, Embedding, Similarity]
    assert answers[0].score == pytest.approx(answers[2].score, abs=1e-6)
    assert abs(cosine) < 0.99


def test_the_texts_of_a_pair_are_encoded_apart_and_one_call_runs_each_alone(model: SentenceModel) -> None:
    assert [window.ids for window in model.task.encode(("a b", "c"))] == [[1, 3, 4, 2], [1, 5, 2]]
    model(("a b", "c"))
    assert sorted(model._session.shapes) == [(1, 3), (1, 4)]  # type: ignore[attr-defined]


def test_either_text_cut_short_is_told(model: SentenceModel) -> None:
    long = "a b c d a b c d"
    assert [model(given).truncated for given in ("a", long, ("a", "b"), ("a", long), (long, "a"))] == [
        *(False, True, False, True, True),
    ]


@pytest.mark.parametrize("wrong", [("a",), ("a", "b", "c"), ("a", None), None, "", ("a", " ")])
def test_what_is_neither_a_text_nor_a_pair_is_refused(wrong: Any, model: SentenceModel) -> None:
    with pytest.raises(TextError):
        model(wrong)


def test_predictions_are_short_lines_and_plain_json(model: SentenceModel) -> None:
    assert str(Similarity(0.87654, False)) == "0.8765"
    assert str(Embedding([0.5, -0.25, 0.0, 1.0, 0.125], False)) == "5 numbers: 0.5000 -0.2500 0.0000 1.0000 …"
    for answer in (model("a b"), model(("a", "b"))):
        assert type(answer)(**json.loads(json.dumps(asdict(answer)))) == answer


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_embed_keeps_the_order_whatever_the_batches(batch_size: int, model: SentenceModel) -> None:
    vectors = model.embed(TEXTS, batch_size=batch_size)
    assert vectors.shape == (6, 6)
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [model(text).embedding for text in TEXTS], atol=1e-6)
    assert np.array_equal(model.embed(iter(TEXTS), batch_size=batch_size), vectors)


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("a b", "give a list of texts"),
        ([], "at least one text"),
        (["a", 3], "text 2 of 2 is int 3"),
        ([("a", "b")], "tuple"),
        (None, "the NoneType None was given; give a list of texts"),
        ({"a": 1}, "the dict .* was given; give a list of texts"),
    ],
)
def test_embed_takes_an_iterable_of_strings_only(texts: Any, says: str, model: SentenceModel) -> None:
    with pytest.raises(TextError, match=says):
        model.embed(texts)


def test_a_batch_of_nothing_is_refused(model: SentenceModel) -> None:
    with pytest.raises(InputError, match="batch_size is 0; give a whole number of 1 or more"):
        model.embed(["a"], batch_size=0)


def test_a_trained_width_cuts_and_normalises_anew(make: Callable[..., SentenceModel]) -> None:
    model = make(widths=[2, 4])
    whole, cut = model.embed(TEXTS), model.embed(TEXTS, 4)
    assert cut.shape == (6, 4)
    assert cut.dtype == np.float32
    assert np.allclose(np.linalg.norm(cut, axis=1), 1.0, atol=1e-6)
    assert np.allclose(cut, whole[:, :4] / np.linalg.norm(whole[:, :4], axis=1, keepdims=True), atol=1e-6)
    assert np.array_equal(model.embed(TEXTS, 6), whole)
    expected = float(model.embed(["a"], 2)[0] @ model.embed(["b c"], 2)[0])
    assert model.similarity("a", "b c", width=2) == pytest.approx(expected, abs=1e-6)


def test_a_width_that_was_not_trained_is_refused_with_those_that_were(make: Callable[..., SentenceModel]) -> None:
    with pytest.raises(
        InputError, match=r"width is 3; this bundle's embeddings are 6 wide and can be truncated to 2, 4 "
    ):
        make(widths=[2, 4]).embed(TEXTS, 3)
    with pytest.raises(InputError, match=r"width is 3; .* 6 wide and cannot be truncated"):
        make().similarity("a", "b", width=3)
    with pytest.raises(InputError, match=r"width is 4096; this bundle's embeddings are 6 wide"):
        make(widths=[2, 4096]).embed(TEXTS, 4096)


def test_similarity_is_a_number_for_strings_and_every_with_every_for_lists(model: SentenceModel) -> None:
    one = model.similarity("a b", "c")
    assert isinstance(one, float)
    assert one == pytest.approx(model(("a b", "c")).score, abs=1e-6)
    table = model.similarity(TEXTS, ["c", "a b"])
    assert table.shape == (6, 2)
    assert table[1, 0] == pytest.approx(one, abs=1e-6)
    assert np.allclose(table, model.embed(TEXTS) @ model.embed(["c", "a b"]).T, atol=1e-6)
    assert model.similarity("a b", ["c", "a b"]).shape == (1, 2)


def test_search_finds_exactly_the_nearest_best_first(model: SentenceModel) -> None:
    draw = np.random.default_rng(1)
    corpus = [" ".join(draw.choice(["a", "b", "c", "d"], draw.integers(1, 5))) for _ in range(60)]
    queries = ["a c", "d b b"]
    known = model.embed(corpus)
    positions, cosines = model.search(queries, corpus, k=7)
    assert positions.shape == cosines.shape == (2, 7)
    for query, found, scores in zip(queries, positions, cosines, strict=True):
        brute = [float(model.embed([query])[0].astype(np.float64) @ vector) for vector in known.astype(np.float64)]
        assert scores.tolist() == pytest.approx(sorted(brute, reverse=True)[:7], abs=1e-6)
        assert [brute[at] for at in found] == pytest.approx(scores.tolist(), abs=1e-6)
    again = model.search(queries, known, k=7)
    assert np.array_equal(again[0], positions)
    one = model.search("a c", known, k=7)
    assert one[0].shape == (7,)
    assert np.array_equal(one[0], positions[0])


def test_a_corpus_may_be_an_array_of_strings_or_of_half_precision(model: SentenceModel) -> None:
    places, cosines = model.search("a", TEXTS, 3)
    of_strings = model.search("a", np.array(TEXTS), 3)
    assert of_strings[0].tolist() == places.tolist()
    assert of_strings[1].tolist() == cosines.tolist()
    halved = model.search("a", model.embed(TEXTS).astype(np.float16), 3)
    # The first two texts are equal; their order depends on rounding, and on the build of numpy.
    assert sorted(halved[0].tolist()) == sorted(places.tolist())
    assert halved[1] == pytest.approx(cosines, abs=2e-3)


def test_texts_of_similarity_and_search_run_as_many_together_as_is_said(model: SentenceModel) -> None:
    model.similarity(["a", "b"], ["c"], batch_size=1)
    model.search("a", ["b", "c"], batch_size=1)
    assert {rows for rows, _ in model._session.shapes} == {1}  # type: ignore[attr-defined]


def test_of_equal_texts_the_earlier_is_found_first_and_a_small_corpus_whole(model: SentenceModel) -> None:
    positions, cosines = model.search("a", ["c", "a", "b", "a"], k=99)
    assert positions.tolist()[:2] == [1, 3]
    assert sorted(positions.tolist()) == [0, 1, 2, 3]
    assert cosines[0] == pytest.approx(1.0, abs=1e-6)


def test_a_corpus_of_cut_embeddings_is_searched_at_its_width(make: Callable[..., SentenceModel]) -> None:
    model = make(widths=[2])
    positions, cosines = model.search("a", model.embed(TEXTS, 2), k=6)
    expected = model.embed(TEXTS, 2) @ model.embed(["a"], 2)[0]
    assert cosines.tolist() == pytest.approx(sorted(expected.tolist(), reverse=True), abs=1e-6)
    assert positions.tolist()[:2] == [0, 5]


@pytest.mark.parametrize(
    ("corpus", "k", "says"),
    [
        (["a"], 0, "k is 0; give a whole number of 1 or more"),
        (["a"], 1.5, "k is 1.5; give a whole number of 1 or more"),
        (None, 1, "the NoneType None was given; give a list of texts"),
        (np.zeros((0, 6), np.float32), 1, r"shape \(0, 6\)"),
        (np.zeros(6, np.float32), 1, r"shape \(6,\)"),
        (np.eye(4, 5, dtype=np.float32), 1, "width is 5"),
        (np.eye(3, 6, dtype=np.float32) * 5, 1, "row 0 of the corpus has the length 5, not 1; divide every row by its"),
        (np.eye(8, 6, dtype=np.float32), 1, "row 6 of the corpus has the length 0, not 1"),
        (np.array([[0.0] * 6, [math.nan] * 6], np.float32), 1, "nan or infinity, first in row 1; embed that text"),
        (np.array([[math.inf] * 6], np.float32), 1, "nan or infinity, first in row 0; embed that text"),
        (np.eye(6, dtype=np.int64), 1, "the corpus is an array of int64; give texts as a list, or the result of embed"),
    ],
)
def test_a_search_that_cannot_be_is_refused(corpus: Any, k: int, says: str, model: SentenceModel) -> None:
    with pytest.raises(InputError, match=says):
        model.search("a", corpus, k)


@pytest.mark.parametrize(
    ("table", "fact"),
    [
        ({"low": 1.0}, "head: low is 1.0, high is 1.0; expected low below high"),
        ({"widths": [64, 32]}, "head: widths [64, 32]: expected ascending order, each once"),
        ({"widths": [64, 64]}, "head: widths [64, 64]: expected ascending order, each once"),
        ({"widths": [0]}, "'head.widths' is (0,); expected a value between 1 and 65536"),
        (
            {"pooling": "cls+median"},
            "head: pooling 'cls+median': expected one of mean, cls, max, mean_sqrt_len_tokens, weightedmean, "
            "lasttoken, or several joined by +",
        ),
        ({"default_prompt": "query"}, "head: default_prompt 'query' is not among prompts; name one of them"),
        ({"objective": "triplets"}, "'head.objective' is 'triplets'; expected one of 'scores', 'in_batch_negatives'"),
        ({"high": math.inf}, "'head.high' is inf; expected a value between -1000000000.0 and 1000000000.0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(table: dict[str, Any], fact: str) -> None:
    with pytest.raises(SettingsError) as caught:
        fill(Settings, table, "r.toml", "head.")
    assert str(caught.value) == f"r.toml: {fact}"


def test_pairs_and_their_scores_are_read(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("one\ttwo\tscore\na\tb\t2.5\n")
    (tmp_path / "d.jsonl").write_text('{"one": "a", "two": "b", "score": 5}\n')
    settings = Settings(high=5.0)
    assert read(tmp_path / "d.tsv", COLUMNS, settings) == [Example("a", "b", 2.5, 2)]
    assert read(tmp_path / "d.jsonl", COLUMNS, settings) == [Example("a", "b", 5.0, 1)]
    with pytest.raises(DataError, match=re.escape("line 2: 'score' is '2.5'; expected a number from 0 to 1")):
        read(tmp_path / "d.tsv", COLUMNS, Settings())


@pytest.mark.parametrize(("name", "text"), [("d.tsv", "one\ttwo\na\tb\n"), ("d.jsonl", '{"one": "a", "two": "b"}\n')])
def test_pairs_that_belong_together_need_no_scores(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    rows = read(tmp_path / name, COLUMNS, Settings("in_batch_negatives"))
    assert [(row.text, row.text_pair, row.label) for row in rows] == [("a", "b", None)]
    with pytest.raises(DataError, match="'score'"):
        read(tmp_path / name, COLUMNS, Settings())


def test_a_wrong_score_of_pairs_that_belong_together_is_still_refused(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("one\ttwo\tscore\na\tb\tvery\n")
    with pytest.raises(DataError, match="'score' is 'very'"):
        read(tmp_path / "d.tsv", COLUMNS, Settings("in_batch_negatives"))


def test_a_row_that_cannot_be_scored_says_what_it_lacks(model: SentenceModel) -> None:
    assert model.task.expected(Example("a", "b", 0.5, 3)) == 0.5
    with pytest.raises(
        DataError,
        match=r"^d.tsv: line 3: no second text; name its column \(--pair-column, in a recipe data.text_pair\)$",
    ):
        model.task.expected(Example("a", None, 0.5, 3, "d.tsv"))
    with pytest.raises(DataError, match=r"^d.tsv: line 3: no score; expected a number from 0 to 1$"):
        model.task.expected(Example("a", "b", None, 3, "d.tsv"))


def test_the_sts_benchmark_is_read_whole() -> None:
    if not STSB.is_dir():
        pytest.skip(f"{STSB} is not here")
    columns = Columns("6", "7", "5", header=False, delimiter="tab")
    rows = [read(STSB / f"sts-{split}.csv", columns, Settings(high=5.0)) for split in ("train", "dev", "test")]
    assert [len(several) for several in rows] == [5749, 1500, 1379]
    assert all(0.0 <= row.label <= 5.0 and row.text_pair for several in rows for row in several)
