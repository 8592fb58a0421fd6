"""Regression on the device: outputs to scores in a range, data files and their errors, metrics."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from edgebert.data.examples import Columns, Example
from edgebert.errors import DataError, SettingsError, TextError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.quality import measure_quality
from edgebert.settings import fill
from edgebert.tasks.regression.predict import Regression, Score
from edgebert.tasks.regression.spec import SPEC, Settings, read

STSB = Path(__file__).parents[3].parent / "shared" / "data" / "stsb"
COLUMNS = Columns(label="score")


def task(segments: int = 1, encoder: Any = None, **settings: Any) -> Regression:
    manifest = {"labels": [], "segments": segments, "head": {"settings": settings}, "data": {"label_values": []}}
    return Regression(facts_of(manifest), encoder)


def decoded(logit: float, truncated: bool = False, **settings: Any) -> Score:
    outputs = [(np.array([logit], dtype=np.float32),)]
    return task(**settings).decode("a", [Encoded([], [], truncated)], outputs)


@pytest.mark.parametrize(
    ("settings", "output", "score"),
    [
        ({}, 0.25, 0.25),
        ({}, 1.25, 1.0),
        ({}, -0.25, 0.0),
        ({"low": 0.0, "high": 5.0}, 0.5, 2.5),
        ({"low": 1.0, "high": 5.0}, 0.0, 1.0),
        ({"low": -2.0, "high": 2.0}, 0.75, 1.0),
        ({"low": -2.0, "high": 2.0}, -9.0, -2.0),
        ({"low": 0.0, "high": 5.0, "output": "score"}, 2.5, 2.5),
        ({"low": 0.0, "high": 5.0, "output": "score"}, 5.5, 5.0),
        ({"clip": False}, -3.5, -3.5),
        ({"clip": False, "low": 0.0, "high": 5.0}, 2.0, 10.0),
        ({"activation": "sigmoid"}, 0.0, 0.5),
        ({"activation": "sigmoid", "low": 0.0, "high": 5.0}, 1000.0, 5.0),
        ({"activation": "sigmoid"}, -1000.0, 0.0),
    ],
)
def test_an_output_is_a_score_in_the_callers_units_inside_the_range(
    settings: dict[str, Any], output: float, score: float
) -> None:
    assert decoded(output, **settings) == Score(score, False)


def test_a_text_that_was_cut_says_so() -> None:
    assert decoded(0.5, truncated=True) == Score(0.5, True)


@pytest.mark.parametrize("settings", [{}, {"low": 1.0, "high": 5.0}, {"low": 1.0, "high": 5.0, "output": "score"}])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_what_the_head_should_give_for_a_score_is_read_as_that_score(settings: dict[str, Any], share: float) -> None:
    asked = task(**settings)
    score = asked.settings.low + share * (asked.settings.high - asked.settings.low)
    assert decoded(asked.output(score), **settings).score == score


def test_a_prediction_is_a_line_and_plain_json() -> None:
    assert str(Score(3.14159, False)) == "3.1416"
    assert json.loads(json.dumps(asdict(Score(2.5, True)))) == {"score": 2.5, "truncated": True}


def test_scores_are_read_from_tables_and_json_lines(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("text\tscore\na\t0\nb\t 2.50\nc\t5e0\n")
    (tmp_path / "d.jsonl").write_text('{"text": "a", "score": 0}\n{"text": "b", "score": 2.5}\n')
    settings = Settings(0.0, 5.0)
    assert [row.label for row in read(tmp_path / "d.tsv", COLUMNS, settings)] == [0.0, 2.5, 5.0]
    assert [row.label for row in read(tmp_path / "d.jsonl", COLUMNS, settings)] == [0.0, 2.5]
    assert [row.label for row in read(tmp_path / "d.tsv", Columns(label=""), settings)] == [None] * 3


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("d.tsv", "good", "'good'"),
        ("d.tsv", "", "''"),
        ("d.tsv", "nan", "'nan'"),
        ("d.tsv", "inf", "'inf'"),
        ("d.tsv", "-0.01", "'-0.01'"),
        ("d.tsv", "5.001", "'5.001'"),
        ("d.tsv", "1,5", "'1,5'"),
        ("d.tsv", "0_1", "'0_1'"),
        ("d.jsonl", "null", "None"),
        ("d.jsonl", "true", "True"),
        ("d.jsonl", "[1]", "[1]"),
        ("d.jsonl", "6", "6"),
        ("d.jsonl", "1" + "0" * 300, "1000"),
    ],
)
def test_what_is_no_score_of_the_range_is_told_with_file_line_value_and_range(
    name: str, value: str, shown: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    table, lines = f"text\tscore\na\t{value}\n", f'{{"text": "a", "score": 1}}\n{{"text": "b", "score": {value}}}\n'
    path.write_text(table if name == "d.tsv" else lines)
    with pytest.raises(DataError) as caught:
        read(path, COLUMNS, Settings(0.0, 5.0))
    message = str(caught.value)
    assert message.startswith(f"{path}: line 2: 'score' is {shown}")
    remedy = "; fill it, or skip such rows: --skip-empty, in a recipe data.skip_empty = true"
    told = "; expected a number from 0 to 5 (head.low to head.high)" + (remedy if value in ("", "null") else "")
    assert message == f"{path}: line 2: 'score' is {shown}{told}" or (len(value) > 100 and message.endswith(told))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400])
def test_a_number_that_json_does_not_have_is_told_with_its_line(value: str, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(f'{{"text": "a", "score": 1}}\n{{"text": "b", "score": {value}}}\n')
    with pytest.raises(DataError, match=r"d\.jsonl: line 2: not JSON \(.*number"):
        read(tmp_path / "d.jsonl", COLUMNS, Settings(0.0, 5.0))


@pytest.mark.parametrize(
    ("table", "fact"),
    [
        ({"low": 1.0, "high": 1.0}, "head: low is 1.0, high is 1.0; expected low below high"),
        ({"low": 2}, "head: low is 2.0, high is 1.0; expected low below high"),
        (
            {"low": -1e308, "high": 1e308},
            "'head.low' is -1e+308; expected a value between -1000000000.0 and 1000000000.0",
        ),
        ({"high": math.inf}, "'head.high' is inf; expected a value between -1000000000.0 and 1000000000.0"),
        ({"low": math.nan}, "'head.low' is nan; expected a value between -1000000000.0 and 1000000000.0"),
        ({"output": "logit"}, "'head.output' is 'logit'; expected one of 'scaled', 'score'"),
    ],
)
def test_a_range_of_nothing_is_refused(table: dict[str, Any], fact: str) -> None:
    with pytest.raises(SettingsError) as caught:
        fill(Settings, table, "r.toml", "head.")
    assert str(caught.value) == f"r.toml: {fact}"


def test_a_row_without_a_score_cannot_be_compared() -> None:
    assert task(high=5.0).expected(Example("a", None, 2.5, 3)) == 2.5
    with pytest.raises(DataError, match=r"^d.tsv: line 3: no score; expected a number from 0 to 5$"):
        task(high=5.0).expected(Example("a", None, None, 3, "d.tsv"))


def test_single_texts_and_pairs_are_not_mixed_up(tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = TextEncoder(tmp_path / "tokenizer.json", 8)
    single, double = task(1, encoder), task(2, encoder)
    assert single.encode("a b")[0].ids == [1, 3, 4, 2]
    assert double.encode(("a", "b"))[0].ids == [1, 3, 2, 4, 2]
    assert double.given(Example("a", "b", None, 1)) == ("a", "b")
    with pytest.raises(TextError, match="pair of texts was given, but this bundle takes single texts"):
        single.encode(("a", "b"))
    with pytest.raises(TextError, match=r"single text 'a' .* compares pairs"):
        double.encode("a")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("steps", [3, 1000])
def test_metrics_are_scipys_with_ties_too(seed: int, steps: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    random = np.random.default_rng(seed)
    expected = random.integers(0, steps, 80) / steps * 5
    predicted = np.clip(expected + random.normal(size=80), 0, 5)
    rows = [Example("a", None, score, 1) for score in expected.tolist()]
    right = [task(high=5.0).expected(row) for row in rows]
    given = [task(high=5.0).predicted(Score(score, False)) for score in predicted.tolist()]
    found = {name: measure_quality(name, metric, right, given) for name, metric in SPEC.metrics.items()}
    assert found["spearman"].value == pytest.approx(stats.spearmanr(expected, predicted).statistic, abs=1e-12)
    assert found["pearson"].value == pytest.approx(stats.pearsonr(expected, predicted).statistic, abs=1e-12)
    assert all(quality.ci_low < quality.value < quality.ci_high for quality in found.values())


def test_the_default_metric_is_spearmans() -> None:
    assert list(SPEC.metrics) == ["spearman", "pearson"]


@pytest.mark.skipif(not STSB.is_dir(), reason=f"the STS benchmark is not at {STSB}")
@pytest.mark.parametrize(("name", "rows"), [("sts-train.csv", 5749), ("sts-dev.csv", 1500), ("sts-test.csv", 1379)])
def test_the_sts_benchmark_is_read_as_it_comes(name: str, rows: int) -> None:
    columns = Columns(text="6", text_pair="7", label="5", header=False, delimiter="tab")
    examples = read(STSB / name, columns, Settings(0.0, 5.0))
    assert len(examples) == rows
    assert all(0 <= row.label <= 5 and row.text and row.text_pair for row in examples)
    if name == "sts-dev.csv":
        assert [row.label for row in examples[:5]] == [5.0, 4.75, 5.0, 2.4, 2.75]
