"""Columns of a data file that are named on the command line: evaluate, bench and predict."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, refused
from manifests import manifest_of
from small_bundle import write_small_bundle

import edgebert
from edgebert.bundle import read_document, read_manifest, write_manifest
from edgebert.data.named import Named
from edgebert.errors import DataError, InputError
from edgebert.manifest import Manifest
from edgebert.measure.scenarios import quality
from edgebert.measure.workload import read_workload
from edgebert.runtime.rows import read_rows, read_texts

TABLE = "sentence\tid\tgold\na\t1\tshort\na b a b a\t2\tlong\n"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small_bundle(tmp_path / "small")


def made(task: str, segments: int = 1, **settings: Any) -> Manifest:
    data = {"columns": {"text_pair": "text_pair" * (segments == 2)}}
    return manifest_of(name="x", task=task, segments=segments, head={"settings": settings}, data=data)


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("d.tsv", TABLE, ["--text-column", "sentence", "--label-column", "gold"]),
        ("d.jsonl", '{"sentence": "a", "gold": "short"}\n{"sentence": "a b a b a", "gold": "long"}\n',
         ["--text-column", "sentence", "--label-column", "gold"]),
        ("d.csv", "short;1;a\nlong;2;a b a b a\n",
         ["--text-column", "3", "--label-column", "1", "--delimiter", "semicolon", "--no-header"]),
        ("d.csv", "text|label\na|short\na b a b a|long\n", ["--delimiter", "pipe"]),
        ("d.tsv", "text\tlabel\tgold\na\tlong\tshort\na b a b a\tshort\tlong\n", ["--label-column", "gold"]),
    ],
)  # fmt: skip
def test_evaluate_reads_the_columns_that_are_named(
    name: str, content: str, options: list[str], small: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / name).write_text(content)
    code, out, err = run("evaluate", small, "--data", tmp_path / name, *options, "--json")
    assert (code, err) == (0, "")
    assert (json.loads(out)["quality"]["value"], json.loads(out)["quality"]["n"]) == (1.0, 2)


def test_a_column_is_not_text_and_label_at_once(small: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "d.tsv").write_text("text\tlabel\na\tshort\n")
    message = refused(run("evaluate", small, "--data", tmp_path / "d.tsv", "--text-column", "label"))
    assert "label is 'label', the column of a text" in message
    assert message.endswith("name others with --text-column, --label-column")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--text-column", "sent"], "d.tsv: line 1: no column 'sent'; the header has: 'sentence', 'id', 'gold'"),
        (
            ["--text-column", "sentence", "--label-column", "g"],
            "no column 'g'; the header has: 'sentence', 'id', 'gold'",
        ),
        (["--no-header"], "read without a header, so columns are numbered from 1; got text, label"),
        (["--no-header", "--text-column", "9" * 5_000], "read without a header, so columns are numbered from 1"),
        (["--pair-column", "id"], "takes single texts; leave --pair-column out"),
        (["--tags-column", "id"], "the task text-classification has no tags; leave --tags-column out"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    options: list[str], says: str, small: Path, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "d.tsv").write_text(TABLE)
    assert says in refused(run("evaluate", small, "--data", tmp_path / "d.tsv", *options))
    out = tmp_path / "out"
    bench = run("bench", small, "--baseline", small, "--data", tmp_path / "d.tsv", "--out", out, *options)
    assert says in refused(bench)


def test_formats_without_such_names_refuse_them(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("a\n")
    with pytest.raises(InputError, match=r"d\.txt: has no columns, only one text per line; leave --text-column out"):
        read_texts(tmp_path / "d.txt", made("text-classification"), Named(text="x"))
    (tmp_path / "d.jsonl").write_text('{"text": "a", "label": "b"}\n')
    with pytest.raises(InputError, match=r"is not a table .* leave --delimiter and --no-header out"):
        read_rows(tmp_path / "d.jsonl", made("text-classification"), Named(delimiter="tab", header=False))
    with pytest.raises(InputError, match=r"a SQuAD document has fixed names; leave --text-column out"):
        read_rows(tmp_path / "d.json", made("question-answering", 2), Named(text="q"))
    with pytest.raises(InputError, match="a slot folder has fixed names; leave --tags-column out"):
        read_rows(tmp_path, made("token-classification"), Named(tags="x"))


def test_predict_answers_the_column_that_is_named(small: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "d.tsv").write_text(TABLE)
    code, out, _ = run("predict", small, "--input", tmp_path / "d.tsv", "--text-column", "sentence")
    assert code == 0
    assert [line.split("\t")[0] for line in out.splitlines()] == ["short", "long"]
    message = refused(run("predict", small, "--input", tmp_path / "d.tsv", "--text-column", "gone"))
    assert message.endswith("no column 'gone'; the header has: 'sentence', 'id', 'gold'")
    assert refused(run("predict", small, "a", "--text-column", "x")) == "no --input is given; leave --text-column out"


def test_a_bench_carries_the_names_to_the_measured_processes(small: Path, tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text(TABLE)
    named = Named(text="sentence", label="gold")
    workload = read_workload(tmp_path / "d.tsv", read_manifest(small), named=named)
    assert (workload.inputs, workload.named) == (["a", "a b a b a"], named)
    job = {"data": str(tmp_path / "d.tsv"), "metric": "accuracy", "named": vars(named)}
    assert quality.work(edgebert.load(small), job, lambda at: None)["table"] == [[1.0], [1.0]]
    with pytest.raises(DataError, match="no column 'g'"):
        read_workload(tmp_path / "d.tsv", read_manifest(small), named=Named(text="sentence", label="g"))


def test_a_named_column_goes_before_those_of_the_bundle(small: Path, tmp_path: Path, run: Run) -> None:
    manifest = read_document(small)
    columns = {"text": "2", "text_pair": "", "label": "1", "header": False, "delimiter": "tab", "quotes": "suffix"}
    write_manifest(small, manifest | {"data": manifest["data"] | {"columns": columns}})
    (tmp_path / "d.csv").write_text("gold,sentence\nshort,a\nlong,a b a b a\n")
    options = ["--text-column", "sentence", "--label-column", "gold"]
    assert run("evaluate", small, "--data", tmp_path / "d.csv", *options)[1].startswith("accuracy 1.0000")


def test_words_tags_and_intents_go_by_name_too(tmp_path: Path) -> None:
    words = {"tokens": ["a", "b"], "text": "x", "ner": ["B-p", "O"], "kind": "On"}
    (tmp_path / "w.jsonl").write_text(json.dumps(words) + "\n")
    (row,) = read_rows(tmp_path / "w.jsonl", made("token-classification"), Named(text="tokens", tags="ner"))
    assert (row.words, row.label) == (("a", "b"), ("B-p", "O"))
    named = Named(text="tokens", tags="ner", label="kind")
    (row,) = read_rows(tmp_path / "w.jsonl", made("intent-slots"), named)
    assert row.label == ("On", ("B-p", "O"))
    text = {"sentence": "a b", "words": ["x"], "spans": [{"label": "p", "start": 0, "end": 1}], "slots": []}
    (tmp_path / "t.jsonl").write_text(json.dumps(text) + "\n")
    (row,) = read_rows(tmp_path / "t.jsonl", made("token-classification"), Named(text="sentence", label="spans"))
    assert (row.words, row.label) == (("a", "b"), ("B-p", "O"))
    with pytest.raises(DataError, match=r"line 1: no key 'tokenz'; the row has: tokens, text, ner, kind"):
        read_rows(tmp_path / "w.jsonl", made("token-classification"), Named(text="tokenz"))
    (tmp_path / "d.conll").write_text("1 a x B-p O\n2 b x O O\n")
    (row,) = read_rows(tmp_path / "d.conll", made("token-classification"), Named(text="1", tags="-2"))
    assert (row.words, row.label) == (("a", "b"), ("B-p", "O"))
    with pytest.raises(InputError, match="--tags-column is 'ner'; give the column's number"):
        read_rows(tmp_path / "d.conll", made("token-classification"), Named(tags="ner"))


def test_questions_contexts_and_answers_go_by_name_too(tmp_path: Path) -> None:
    row = {"q": "Who?", "passage": "Ada did", "gold": [{"text": "Ada", "start": 0}]}
    (tmp_path / "d.jsonl").write_text(json.dumps(row) + "\n")
    manifest = made("question-answering", 2)
    (found,) = read_rows(tmp_path / "d.jsonl", manifest, Named(text="q", text_pair="passage", label="gold"))
    assert (found.text, found.text_pair, found.label[0].text) == ("Who?", "Ada did", "Ada")
    with pytest.raises(DataError, match="line 1: no key 'gone'; the row has: q, passage, gold"):
        read_rows(tmp_path / "d.jsonl", manifest, Named(text="q", text_pair="gone"))


def test_pairs_go_by_name_too(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("premise\thypothesis\tlabel\na\tb\tc\n")
    manifest = made("text-classification", 2)
    (row,) = read_rows(tmp_path / "d.tsv", manifest, Named(text="premise", text_pair="hypothesis"))
    assert (row.text, row.text_pair, row.label) == ("a", "b", "c")
