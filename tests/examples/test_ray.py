"""`examples/ray`: actors of a local cluster answer a Parquet corpus with the model's own answers."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from small_bundle import write_small_bundle

import edgebert

pytest.importorskip("ray.data", reason="ray[data] is not installed")
pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
pq = pytest.importorskip("pyarrow.parquet")

# Ray's processes leave sockets open, and its own modules raise warnings.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
TEXTS = ["a", "b a", None, "a b b", " ", "b b b b", "a a a a a a a a a a"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("ray") / "small")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for number in range(3):
        ids = list(range(number * len(TEXTS), (number + 1) * len(TEXTS)))
        pq.write_table(pa.table({"id": ids, "body": TEXTS}), folder / f"{number}.parquet")
    return folder


@pytest.fixture(scope="module")
def main() -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from examples.ray.answer_parquet import main

    return main


def test_a_corpus_is_answered_as_by_the_model(main: Any, small: Path, corpus: Path, tmp_path: Path) -> None:
    assert main([str(small), str(corpus), str(tmp_path / "out"), "--text-column", "body", "--actors", "2"]) == 0
    rows = pq.read_table(tmp_path / "out").sort_by("id").to_pylist()
    assert [row["id"] for row in rows] == list(range(21))
    assert [row["body"] for row in rows] == TEXTS * 3
    with edgebert.load(small) as model:
        for row in rows:
            expected = model(row["body"]).to_dict() if row["body"] and row["body"].strip() else None
            assert (row["answer"] and json.loads(row["answer"])) == expected


def test_embeddings_are_lists_and_a_file_without_texts_has_them_too(main: Any, bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    for number, texts in enumerate((["good film", "so very bad"], [None, " "])):
        table = pa.table({"id": [2 * number, 2 * number + 1], "text": pa.array(texts, pa.string())})
        pq.write_table(table, tmp_path / "corpus" / f"{number}.parquet")
    assert main([str(bundle), str(tmp_path / "corpus"), str(tmp_path / "out"), "--actors", "1"]) == 0
    rows = pq.read_table(tmp_path / "out").sort_by("id").to_pylist()
    own = edgebert.load(bundle)
    assert [row["answer"] for row in rows] == [own("good film").embedding, own("so very bad").embedding, None, None]


def test_what_cannot_be_answered_is_told_before_a_cluster_starts(
    main: Any, small: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(small), str(corpus), str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{tmp_path}: is there already; name a new folder\n"
    with pytest.raises(edgebert.BundleError):
        main([str(tmp_path / "none"), str(corpus), str(tmp_path / "out")])


def test_a_wrong_column_is_told(
    main: Any, small: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(small), str(corpus), str(tmp_path / "out"), "--actors", "1"]) == 2
    assert "no column 'text'; it has id, body; name it with --text-column\n" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
