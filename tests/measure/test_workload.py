"""Workloads: the texts of a bench, and what is refused before it measures."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of

from edgebert.errors import DataError
from edgebert.measure.workload import read_workload

MANIFEST = manifest_of(data={"label_values": ["n", "p"]})


def test_a_workload_is_what_a_caller_would_ask_and_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("text\tlabel\na b\tn\nc\tyes\n")
    workload = read_workload(path, MANIFEST)
    assert workload.inputs == ["a b", "c"]
    assert [example.label for example in workload.examples] == ["n", "yes"]
    assert (workload.path, workload.source) == (path, "d.tsv")
    assert workload.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_workload_of_pairs_holds_pairs(tmp_path: Path) -> None:
    columns = {"text": "2", "text_pair": "3", "label": "1", "header": False, "delimiter": "tab"}
    (tmp_path / "d.csv").write_text("n\ta, b\tc\np\td\te\tmore\n")
    manifest = manifest_of(segments=2, data={"columns": columns, "label_values": ["n", "p"]})
    assert read_workload(tmp_path / "d.csv", manifest).inputs == [("a, b", "c"), ("d", "e")]


def test_a_workload_may_lack_the_label_column_but_not_the_text(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("text\tid\na b\t1\nc\t2\n")
    workload = read_workload(tmp_path / "d.tsv", MANIFEST)
    assert ([example.label for example in workload.examples], workload.inputs) == ([None, None], ["a b", "c"])
    (tmp_path / "d.txt").write_text("a b\nc\n")
    assert read_workload(tmp_path / "d.txt", MANIFEST).inputs == ["a b", "c"]
    (tmp_path / "d.tsv").write_text("sentence\tlabel\na b\tn\n")
    with pytest.raises(DataError, match="line 1: no column 'text'"):
        read_workload(tmp_path / "d.tsv", MANIFEST)


def test_a_workload_says_which_labels_the_bundle_does_not_have(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("text\tlabel\na b\tn\nc\tmaybe\n")
    unknown = {"rows": 1, "labels": {"maybe": 1}, "more": 0}
    assert read_workload(tmp_path / "d.tsv", MANIFEST).as_dict()["unknown_labels"] == unknown
    (tmp_path / "d.tsv").write_text("text\tlabel\na b\tn\nc\tyes\n")
    assert "unknown_labels" not in read_workload(tmp_path / "d.tsv", MANIFEST).as_dict()


def test_a_text_that_the_bundle_cannot_encode_is_refused_before_anything_is_measured(
    built: Path, manifest: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "d.tsv").write_text("text\na b\n\x01\n")
    with pytest.raises(DataError, match=r"d\.tsv: line 3: text '\\x01' holds no token"):
        read_workload(tmp_path / "d.tsv", manifest_of(manifest), built)
