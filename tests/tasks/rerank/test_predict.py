"""Reranking on the device: outputs to scores, grades and triples in files, ranking without a graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of

from edgebert.data.columns import Columns
from edgebert.data.examples import Example
from edgebert.errors import DataError, InputError, SettingsError, TextError
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import Encoded
from edgebert.settings import fill
from edgebert.tasks.rerank.predict import Ranked, Relevance, Rerank, RerankModel
from edgebert.tasks.rerank.spec import SPEC, Settings, read

COLUMNS = Columns("query", "document", "grade")
PAIRS = Columns("query", "positive", "grade")


class Letters:
    """A tokenizer of letters: a pair becomes its letters, at most eight."""

    def encode_pair(self, query: str, document: str) -> Encoded:
        ids = [ord(letter) for letter in query + document]
        return Encoded(ids[:8], [0] * len(ids[:8]), len(ids) > 8)


class Sums:
    """A graph whose output is the number of letters `b` in a pair, in batches of any lengths."""

    batching = ANY_LENGTHS

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run_ragged(self, windows: Any) -> Any:
        self.batches.append(len(windows))
        return [(np.array([window.ids.count(ord("b"))], dtype=np.float32),) for window in windows]


def task(**settings: Any) -> Rerank:
    manifest = {"task": "rerank", "labels": [], "segments": 2, "head": {"settings": settings}}
    return Rerank(facts_of(manifest), Letters())  # type: ignore[arg-type]


def model(**settings: Any) -> RerankModel:
    made = task(**settings)
    facts = facts_of({"task": "rerank", "labels": [], "segments": 2, "head": {"settings": settings}})
    return RerankModel(facts, made, Sums())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "logit", "score"),
    [
        ({}, 0.0, 0.5),
        ({}, np.log(3), 0.75),
        ({"activation": "none"}, -7.25, -7.25),
        ({"activation": "sigmoid"}, -1000.0, 0.0),
    ],
)
def test_a_score_is_the_output_behind_the_activation(settings: dict[str, Any], logit: float, score: float) -> None:
    outputs = [(np.array([logit], dtype=np.float32),)]
    answer = task(**settings).decode(("a", "b"), [Encoded([], [], True)], outputs)
    assert answer.score == pytest.approx(score, abs=1e-7)
    assert answer.is_cut


def test_a_pipeline_gives_the_score_of_a_pair() -> None:
    opened = model(activation="none")
    assert opened.pipeline(("q", "bb")) == {"label": "LABEL_0", "score": 2.0}
    assert opened.pipeline(("q", "bb"), top_k=None) == [{"label": "LABEL_0", "score": 2.0}]
    assert opened.pipeline([("q", "b")]) == [{"label": "LABEL_0", "score": 1.0}]


def test_scores_of_far_outputs_still_differ() -> None:
    scores = [
        task().decode(("a", "b"), [Encoded([], [])], [(np.array([logit], dtype=np.float32),)]).score
        for logit in (-60.0, -50.0, 20.0, 25.0)
    ]
    assert scores == sorted(set(scores))


def test_documents_are_ranked_best_first_and_of_equal_ones_the_earlier_first() -> None:
    opened = model(activation="none")
    ranked = opened.rank("q", ["a", "bb", "b", "aa", "bbb"])
    assert [(one.index, one.score, one.text) for one in ranked] == [
        *((4, 3.0, "bbb"), (1, 2.0, "bb"), (2, 1.0, "b")),
        *((0, 0.0, "a"), (3, 0.0, "aa")),
    ]
    assert opened.rank("q", ["a", "bb", "b"], top_k=2) == [Ranked(1, 2.0, "bb", False), Ranked(2, 1.0, "b", False)]
    assert opened.rank("q", ["b"], top_k=10) == [Ranked(0, 1.0, "b", False)]
    assert opened.rank("q", np.array(["a", "b"]))[0].index == 1
    assert opened.rank("q", ["b" * 20])[0].is_cut
    assert opened.rank("q", []) == []


def test_documents_of_a_query_run_together() -> None:
    opened = model()
    opened.rank("q", ["a" * (number % 5 + 1) for number in range(100)], batch_size=64)
    assert opened._session.batches == [64, 36]  # type: ignore[union-attr]


def test_scores_of_pairs_are_those_of_the_ranking() -> None:
    opened = model()
    scores = [answer.score for answer in opened([("q", "b"), ("q", "a"), ("q", "bb")])]
    assert [one.score for one in opened.rank("q", ["b", "a", "bb"])] == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("query", "documents", "options", "error", "told"),
    [
        ("q", "one text", {}, TextError, "documents is str 'one text'; give a list of texts"),
        ("q", {"a": 1}, {}, TextError, "documents is dict"),
        ("q", None, {}, TextError, "documents is NoneType None; give a list of texts"),
        ("q", ["a", 3], {}, TextError, "document 2 of 2 is int 3; give a str"),
        ("q", ["a", "\ud800"], {}, TextError, "document 2 of 2 holds the lone surrogate"),
        (("q", "r"), ["a"], {}, TextError, "query is tuple"),
        ("q", ["a"], {"top_k": 0}, InputError, "top_k is 0; give a whole number of 1 or more, or None"),
        ("q", ["a"], {"top_k": 1.5}, InputError, "top_k is 1.5"),
        ("q", ["a"], {"batch_size": 0}, InputError, "batch_size is 0"),
    ],
)
def test_what_cannot_be_ranked_is_told(
    query: Any, documents: Any, options: dict[str, Any], error: type[Exception], told: str
) -> None:
    with pytest.raises(error) as refusal:
        model().rank(query, documents, **options)
    assert told in str(refusal.value)


def test_a_single_text_has_no_document() -> None:
    with pytest.raises(TextError, match=r"single text 'a' .* compares pairs"):
        task().encode("a")
    with pytest.raises(
        DataError, match=r"^d.tsv: line 3: no document; name its column \(--pair-column, in a recipe data.text_pair\)$"
    ):
        task().given(Example("a", None, 1.0, 3, "d.tsv"))
    with pytest.raises(DataError, match=r"^d.tsv: line 3: no grade; expected a number of at least 0$"):
        task().expected(Example("a", "b", None, 3, "d.tsv"))


def test_predictions_are_a_line_and_plain_json() -> None:
    assert str(Relevance(0.123456, False)) == "0.1235"
    assert str(Ranked(3, 0.5, "a", False)) == "3\t0.5000"
    plain = json.loads(json.dumps(Ranked(3, 0.5, "a", True).to_dict()))
    assert plain == {"index": 3, "score": 0.5, "text": "a", "truncated": True}


def test_grades_are_read_and_count_from_the_lowest(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("query\tdocument\tgrade\nq\ta\t-1\nq\tb\t3\n")
    settings = Settings(low=-1.0, high=3.0)
    rows = read(tmp_path / "d.tsv", COLUMNS, settings)
    assert [row.label for row in rows] == [-1.0, 3.0]
    assert [task(low=-1.0, high=3.0).expected(row) for row in rows] == [("q", 0.0), ("q", 4.0)]
    with pytest.raises(DataError, match=r"line 2: 'grade' is '-1'; expected a number of at least 0 \(head.low\)$"):
        read(tmp_path / "d.tsv", COLUMNS, Settings())


@pytest.mark.parametrize("grade", ["good", "nan", "inf", "-0.1", "1,5", "0_1", "1e10"])
def test_what_is_no_grade_is_told(grade: str, tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text(f"query\tdocument\tgrade\nq\ta\t{grade}\n")
    with pytest.raises(DataError, match=rf"line 2: 'grade' is '{grade}'; expected a number of at least 0"):
        read(tmp_path / "d.tsv", COLUMNS, Settings())


def test_grades_above_the_best_one_of_training_are_read(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("query\tdocument\tgrade\nq\ta\t3\nq\tb\t0\n")
    assert [row.label for row in read(tmp_path / "d.tsv", COLUMNS, Settings())] == [3.0, 0.0]


@pytest.mark.parametrize("suffix", ["tsv", "jsonl"])
def test_triples_are_two_graded_pairs_each_once(suffix: str, tmp_path: Path) -> None:
    rows = [("q", "good", "bad"), ("q", "good", "worse"), ("r", "bad", "good"), ("q", "bad", "worse")]
    path = tmp_path / f"d.{suffix}"
    names = ("query", "positive", "negative")
    path.write_text(
        "\n".join(["\t".join(names), *map("\t".join, rows)])
        if suffix == "tsv"
        else "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)
    )
    found = read(path, PAIRS, Settings(high=2.0, negative="negative"))
    # A document that is relevant in one triple stays relevant, whatever another triple says.
    assert [(row.text, row.text_pair, row.label) for row in found] == [
        *(("q", "good", 2.0), ("q", "bad", 2.0), ("q", "worse", 0.0)),
        *(("r", "bad", 2.0), ("r", "good", 0.0)),
    ]


def test_a_file_without_the_column_of_triples_has_grades(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("query\tpositive\tgrade\nq\ta\t0.5\n")
    assert [row.label for row in read(tmp_path / "d.tsv", PAIRS, Settings(negative="negative"))] == [0.5]
    (tmp_path / "e.tsv").write_text("query\tpositive\nq\ta\n")
    with pytest.raises(DataError, match=r"e.tsv: line 1: no column 'grade'"):
        read(tmp_path / "e.tsv", PAIRS, Settings(negative="negative"))
    with pytest.raises(DataError, match=r"e.tsv: line 1: no column 'document'"):
        read(tmp_path / "e.tsv", Columns("query", "document", "grade"), Settings(negative="positive"))
    with pytest.raises(
        DataError, match=r"head\.negative is 'positive', the column of the query or of its answering document"
    ):
        read(tmp_path / "d.tsv", PAIRS, Settings(negative="positive"))


def test_a_triple_with_an_empty_text_is_skipped_whole_or_refused(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("query\tpositive\tnegative\nq\ta\tb\nq\tc\t\nq\t\te\n")
    with pytest.raises(DataError, match=r"d.tsv: line 3: 'negative' is ''"):
        read(tmp_path / "d.tsv", PAIRS, Settings(negative="negative"))
    skipping = Columns("query", "positive", "grade", skip_empty=True)
    rows = read(tmp_path / "d.tsv", skipping, Settings(negative="negative"))
    assert [(row.text_pair, row.label) for row in rows if not row.empty] == [("a", 1.0), ("b", 0.0)]
    assert [row.line for row in rows if row.empty] == [3, 4]


@pytest.mark.parametrize(
    ("table", "fact"),
    [
        ({"low": 1.0}, "head: low is 1.0, high is 1.0; expected low below high"),
        ({"activation": "softmax"}, "'head.activation' is 'softmax'; expected one of 'none', 'sigmoid'"),
    ],
)
def test_settings_that_are_none_are_refused(table: dict[str, Any], fact: str) -> None:
    with pytest.raises(SettingsError) as caught:
        fill(Settings, table, "r.toml", "head.")
    assert str(caught.value) == f"r.toml: {fact}"


def test_the_default_metric_is_ndcg() -> None:
    assert list(SPEC.metrics) == ["ndcg@10", "mrr@10"]
    assert SPEC.counts_queries
