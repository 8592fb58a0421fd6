"""`examples/spark`: a pandas UDF in local mode answers a Parquet corpus with the model's own answers."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_bundle import write_small_bundle

import edgebert

for name in ("pyspark", "pandas", "pyarrow"):
    pytest.importorskip(name, reason=f"{name} is not installed")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("java"), reason="Java is not installed"),
    pytest.mark.filterwarnings("ignore"),  # Spark leaves its sockets to the end of the process
]
TEXTS = ["a", "b a", None, "a b b", " ", "b b b b", "a a a a a a a a a a"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spark")
    write_small_bundle(folder / "small")
    (folder / "corpus").mkdir()
    for number in range(2):
        ids = list(range(number * len(TEXTS), (number + 1) * len(TEXTS)))
        pq.write_table(pa.table({"id": ids, "a.body": TEXTS}), folder / "corpus" / f"{number}.parquet")
    return folder


def run(folder: Path, out: Path, *more: str) -> int:
    from examples.spark.answer_parquet import main

    return main([str(folder / "small"), str(folder / "corpus"), str(out), "--cores", "2", *more])


def test_a_corpus_is_answered_as_by_the_model(folder: Path, tmp_path: Path) -> None:
    assert run(folder, tmp_path / "out", "--text-column", "a.body") == 0
    rows: list[Any] = pq.read_table(tmp_path / "out").sort_by("id").to_pylist()
    assert [row["id"] for row in rows] == list(range(14))
    assert [row["a.body"] for row in rows] == TEXTS * 2
    with edgebert.load(folder / "small") as model:
        for row in rows:
            text = row["a.body"]
            expected = model(text).to_dict() if text and text.strip() else None
            assert (row["answer"] and json.loads(row["answer"])) == expected


def test_embeddings_are_arrays(bundle: Path, tmp_path: Path) -> None:
    from examples.spark.answer_parquet import main

    pq.write_table(pa.table({"text": ["good film", None, "so very bad"]}), tmp_path / "in.parquet")
    assert main([str(bundle), str(tmp_path / "in.parquet"), str(tmp_path / "out"), "--cores", "1"]) == 0
    own = edgebert.load(bundle)
    found = pq.read_table(tmp_path / "out")["answer"].to_pylist()
    assert found == [own("good film").embedding, None, own("so very bad").embedding]


def test_what_cannot_be_answered_is_told(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(folder, tmp_path) == 2
    assert capfd.readouterr().err == f"{tmp_path}: is there already; name a new folder\n"
    assert run(folder, tmp_path / "out") == 2
    assert "no column 'text'; it has id, a.body; name it with --text-column" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()
