"""Multi-label on the device: labels above thresholds, data files and their errors, metrics."""

import gzip
import json
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
from edgebert.tasks.multi_label.predict import Labelling, MultiLabel
from edgebert.tasks.multi_label.spec import SPEC, Settings, read

LABELS = ["joy", "fear", "anger"]
COLUMNS = Columns(label="labels")


def task(segments: int = 1, thresholds: tuple[float, ...] = (0.5, 0.5, 0.5), encoder: Any = None) -> MultiLabel:
    head = {"settings": {"separator": ","}, "thresholds": list(thresholds)}
    manifest = {"labels": LABELS, "segments": segments, "head": head, "data": {"label_values": ["0", "1", "2"]}}
    return MultiLabel(facts_of(manifest), encoder)


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=f"head.thresholds holds {threshold}; expected probabilities, from 0 to 1"):
        task(thresholds=(0.5, threshold, 0.5))


def decoded(*logits: float, thresholds: tuple[float, ...] = (0.5, 0.5, 0.5), truncated: bool = False) -> Labelling:
    outputs = [(np.array(logits, dtype=np.float32),)]
    return task(thresholds=thresholds).decode("a", [Encoded([], [], truncated)], outputs)


@pytest.fixture
def encoder(tmp_path: Path) -> TextEncoder:
    """A tokenizer of two words, truncating to eight tokens."""
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return TextEncoder(tmp_path / "tokenizer.json", 8)


def test_every_label_has_its_own_sigmoid_and_those_over_their_threshold_are_given() -> None:
    answer = decoded(0.5, -2.0, 3.0)
    expected = [1 / (1 + np.exp(-logit)) for logit in (0.5, -2.0, 3.0)]
    assert list(answer.scores) == LABELS
    assert list(answer.scores.values()) == pytest.approx(expected, abs=1e-12)
    assert answer.labels == ("anger", "joy"), "likeliest first"
    assert answer.truncated is False
    assert decoded(0.5, -2.0, 3.0, truncated=True).truncated is True


def test_each_label_is_held_to_its_own_threshold() -> None:
    assert decoded(0.5, -2.0, 3.0, thresholds=(0.7, 0.1, 0.5)).labels == ("anger", "fear")
    assert decoded(0.0, 0.0, 0.0, thresholds=(0.5, 0.49, 0.51)).labels == ("fear",), "a label must be over it"
    assert decoded(-3.0, -3.0, -3.0).labels == ()


def test_equally_likely_labels_keep_the_bundles_order() -> None:
    assert decoded(1.0, 1.0, 1.0).labels == tuple(LABELS)


def test_huge_logits_have_scores_too() -> None:
    assert decoded(1000.0, -1000.0, -60.0).scores == {"joy": 1.0, "fear": 0.0, "anger": pytest.approx(np.exp(-60.0))}


def test_a_prediction_is_a_line_and_plain_json() -> None:
    answer = Labelling(("anger", "joy"), {"joy": 0.62246, "fear": 0.1192, "anger": 0.95257}, False)
    assert str(answer) == "anger,joy\t0.9526,0.6225"
    assert str(Labelling((), {"joy": 0.1}, False)) == "-\t-"
    plain = json.loads(json.dumps(asdict(answer)))
    assert plain == {"labels": ["anger", "joy"], "scores": answer.scores, "truncated": False}


def test_a_table_has_a_cell_of_labels(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("text\tlabels\na\tjoy,fear\nb\t\nc\t anger , joy \nd\tfear\ne\t  \n")
    rows = read(path, COLUMNS, Settings())
    assert [row.label for row in rows] == [("joy", "fear"), (), ("anger", "joy"), ("fear",), ()]
    assert [row.line for row in rows] == [2, 3, 4, 5, 6]


@pytest.mark.parametrize(("separator", "cell"), [(";", "joy;fear, mild"), (" ", "joy fear"), (" | ", "joy | a|b")])
def test_the_separator_is_the_recipes(separator: str, cell: str, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text(f'text,labels\na,"{cell}"\n')
    assert read(path, COLUMNS, Settings(separator))[0].label == tuple(cell.split(separator))


def test_json_lines_have_a_list_of_labels(tmp_path: Path) -> None:
    lines = [{"text": "a", "labels": ["joy", " fear "]}, {"text": "b", "labels": []}, {"text": "c", "labels": [2, 0]}]
    path = tmp_path / "d.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    assert [row.label for row in read(path, COLUMNS, Settings())] == [("joy", "fear"), (), ("2", "0")]


def test_a_file_without_a_label_column_has_rows_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("text\na\nb\n")
    assert [row.label for row in read(path, Columns(label=""), Settings())] == [None, None]


@pytest.mark.parametrize(
    ("name", "row", "fact"),
    [
        ("d.tsv", "a\tjoy,fear,joy", "'labels' is 'joy,fear,joy'; expected each label once, not 'joy' twice"),
        ("d.tsv", "a\tjoy,", "'labels' is 'joy,'; expected labels that are not blank"),
        ("d.tsv", "a\t,", "'labels' is ','; expected labels that are not blank"),
        ("d.tsv", "a\tjoy, ,fear", "'labels' is 'joy, ,fear'; expected labels that are not blank"),
        ("d.jsonl", '{"text": "a", "labels": "joy"}', "'labels' is 'joy'; expected a list of strings"),
        ("d.jsonl", '{"text": "a", "labels": null}', "'labels' is None; expected a list of strings"),
        ("d.jsonl", '{"text": "a", "labels": {"joy": 1}}', "'labels' is {'joy': 1}; expected a list of strings"),
        ("d.jsonl", '{"text": "a", "labels": ["joy", 0.5]}', "'labels' is ['joy', 0.5]; expected a list of strings"),
        ("d.jsonl", '{"text": "a", "labels": [true]}', "'labels' is [True]; expected a list of strings"),
        (
            "d.jsonl",
            '{"text": "a", "labels": ["joy", ""]}',
            "'labels' is ['joy', '']; expected labels that are not bla",
        ),
        (
            "d.jsonl",
            '{"text": "a", "labels": ["a", "a "]}',
            "'labels' is ['a', 'a ']; expected each label once, not 'a'",
        ),
        (
            "d.jsonl",
            '{"text": "a", "labels": ["joy, mild"]}',
            "'labels' is ['joy, mild']; expected labels without head.separator ',' in them, unlike 'joy, mild'",
        ),
    ],
)
def test_wrong_labels_are_told_with_file_line_value_and_what_was_expected(
    name: str, row: str, fact: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(("text\tlabels\n" if name == "d.tsv" else '{"text": "a", "labels": []}\n') + row + "\n")
    with pytest.raises(DataError) as caught:
        read(path, COLUMNS, Settings())
    assert str(caught.value).startswith(f"{path}: line 2: {fact}")
    assert "\n" not in str(caught.value)


def test_a_separator_of_nothing_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"r.toml: head: separator is ''; expected at least one character"):
        fill(Settings, {"separator": ""}, "r.toml", "head.")


def test_labels_may_be_the_bundles_or_the_datas() -> None:
    rows = [Example("a", None, label, 2) for label in (("joy", "anger"), ("1",), (), ("2", "fear"))]
    found = [task().expected(row).tolist() for row in rows]
    assert found == [[True, False, True], [False, True, False], [False] * 3, [False, True, True]]


@pytest.mark.parametrize(
    ("label", "fact"),
    [
        (("joy", "awe"), "unknown label 'awe'; expected any of: joy, fear, anger"),
        (("Joy",), "unknown label 'Joy'; expected any of: joy, fear, anger"),
        (None, "no labels; expected any of: joy, fear, anger"),
    ],
)
def test_an_unknown_label_is_told_with_its_line_and_the_known_ones(label: Any, fact: str) -> None:
    with pytest.raises(DataError) as caught:
        task().expected(Example("a", None, label, 5, "d.tsv"))
    assert str(caught.value) == f"d.tsv: line 5: {fact}"


def test_what_was_predicted_is_compared_with_what_is_right() -> None:
    labelling = decoded(0.5, -2.0, 3.0)
    assert task().predicted(labelling).tolist() == [True, False, True]
    assert task().predicted(decoded(-1.0, -1.0, -1.0)).tolist() == [False] * 3


def test_single_texts_and_pairs_are_not_mixed_up(encoder: TextEncoder) -> None:
    single, double = task(1, encoder=encoder), task(2, encoder=encoder)
    assert single.encode("a b")[0].ids == [1, 3, 4, 2]
    assert double.encode(("a", "b"))[0].type_ids == [0, 0, 0, 1, 1]
    assert double.encode(("a b a b", "b a b a"))[0].truncated is True
    assert double.given(Example("a", "b", None, 1)) == ("a", "b")
    with pytest.raises(TextError, match="pair of texts was given, but this bundle takes single texts"):
        single.encode(("a", "b"))
    with pytest.raises(TextError, match=r"single text 'a' .* compares pairs"):
        double.encode("a")


def indicators(seed: int, texts: int, labels: int, never: str) -> tuple[Any, Any]:
    """Expected and predicted labels; label 0 is never expected, never predicted, or neither."""
    random = np.random.default_rng(seed)
    expected, predicted = random.random((2, texts, labels)) < random.random(labels)
    if never in ("expected", "both"):
        expected[:, 0] = False
    if never in ("predicted", "both"):
        predicted[:, 0] = False
    return list(expected), list(predicted)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("never", ["", "expected", "predicted", "both"])
@pytest.mark.parametrize(("texts", "labels"), [(1, 2), (30, 3), (200, 28)])
def test_metrics_are_scikit_learns(seed: int, never: str, texts: int, labels: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    expected, predicted = indicators(seed, texts, labels, never)
    wanted, given = np.array(expected, dtype=int), np.array(predicted, dtype=int)
    right = {name: sklearn.f1_score(wanted, given, average=name, zero_division=np.nan) for name in ("micro", "macro")}
    # For texts without a label its metric is undefined; ours is zero, with a message.
    right = {name: np.nan_to_num(value) for name, value in right.items()}
    for metric, value in (
        ("micro_f1", right["micro"]),
        ("macro_f1", right["macro"]),
        ("accuracy", sklearn.accuracy_score(wanted, given)),
    ):
        table = SPEC.metrics[metric].table(expected, predicted)
        assert len(table) == texts
        assert SPEC.metrics[metric].figure(table) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "accuracy"])
def test_rows_of_the_table_give_the_metric_of_those_texts(metric: str) -> None:
    expected, predicted = indicators(4, 50, 5, "expected")
    rows = np.random.default_rng(0).integers(0, 50, 50)
    resampled = SPEC.metrics[metric].table([expected[at] for at in rows], [predicted[at] for at in rows])
    table = SPEC.metrics[metric].table(expected, predicted)
    assert SPEC.metrics[metric].figure(table[rows]) == pytest.approx(SPEC.metrics[metric].figure(resampled), abs=1e-12)
    quality = measure_quality(metric, SPEC.metrics[metric], expected, predicted)
    assert quality.ci_low < quality.value < quality.ci_high
    assert quality.n == 50


def test_metrics_of_a_case_worked_out_by_hand() -> None:
    expected = [np.array(row, dtype=bool) for row in ([1, 1, 0], [0, 1, 0], [0, 0, 0])]
    predicted = [np.array(row, dtype=bool) for row in ([1, 0, 0], [0, 1, 1], [0, 0, 0])]
    found = {name: metric.figure(metric.table(expected, predicted)) for name, metric in SPEC.metrics.items()}
    # Two right of three expected and three predicted; by label 1, 2/3 and 0; only the last text is all right.
    assert found == pytest.approx({"micro_f1": 4 / 6, "macro_f1": (1 + 2 / 3 + 0) / 3, "accuracy": 1 / 3}, abs=1e-12)
    nothing = [np.zeros(3, dtype=bool)] * 2
    assert [metric.figure(metric.table(nothing, nothing)) for metric in SPEC.metrics.values()] == [0.0, 0.0, 1.0]


def test_right_answers_to_texts_without_one_of_the_labels_are_all_right() -> None:
    right = [np.array([True, False, False]), np.array([True, True, False])]
    told = measure_quality("macro_f1", SPEC.metrics["macro_f1"], right, right)
    assert told.value == 1.0


def test_the_default_metric_is_micro_f1() -> None:
    assert list(SPEC.metrics) == ["micro_f1", "macro_f1", "accuracy"]
