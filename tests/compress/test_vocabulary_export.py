"""Cut vocabularies in `edgebert export`: early errors, bundles with fewer words, a low-rank word table."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import NASTY, NICE, RECIPE
from family_checkpoints import make_whole
from vocabulary_cuts import CORPUS, TASK

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress.fit import check_fit
from edgebert.errors import SettingsError
from edgebert.recipe import read_recipe

REFUSED = [
    ("bert", "fill-mask", "outputs of fill-mask are read from the whole table", ("vocabulary.rank=8",)),
    (
        "bert",
        TASK,
        "vocabulary.rank is 16, but the student is 16 wide",
        ("vocabulary.rank=16", "distill.hidden_size=16"),
    ),
]


@pytest.mark.parametrize(("family", "task", "says", "settings"), REFUSED)
def test_a_rank_that_cannot_be_is_refused_before_anything_runs(
    family: str, task: str, says: str, settings: tuple[str, ...], whole_folders: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'name = "r"\ntask = "{task}"\n[model]\nsource = "x"\n[data]\ntrain = "t.tsv"\nvalidation = "t.tsv"\n'
        "max_length = 32\n[distill]\nlayers = [0, 2]\n[vocabulary.recover]\nepochs = 1\n"
    )
    check_fit(whole_folders[family], read_recipe(path))
    with pytest.raises(SettingsError, match=says):
        check_fit(whole_folders[family], read_recipe(path, settings))


def test_a_tokenizer_that_cannot_be_cut_is_refused_before_anything_runs(
    whole_folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path(shutil.copytree(whole_folders["bert"], tmp_path / "model"))
    document = json.loads((source / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    document["model"] = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    (source / "tokenizer.json").write_text(json.dumps(document))
    config = json.loads((source / "tokenizer_config.json").read_text())
    (source / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "PreTrainedTokenizerFast"}))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(PLAIN.replace("SOURCE", str(source)) + VOCABULARY)
    for name in ("text.txt", "more.txt"):
        (tmp_path / name).write_text("a film\n")
    assert main(["export", str(recipe), "--out", str(tmp_path / "out")]) == 2
    assert "a WordLevel tokenizer cannot be cut, only WordPiece, byte-level BPE, BPE over" in capsys.readouterr().err


PLAIN = """
name = "cut"
task = "text-classification"
[model]
source = "SOURCE"
[data]
unlabelled = ["text.txt"]
max_length = 32
[quantize]
format = "none"
[export]
stages = false
"""
VOCABULARY = '[vocabulary]\ncorpus = ["more.txt"]\n'


# One of each tokenizer, and one whose graph is not rewritten; every family is cut in test_vocabulary.py.
@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "mobilebert"])
def test_a_bundle_of_fewer_words_answers_its_corpus_as_the_whole_one_does(family: str, tmp_path: Path) -> None:
    source = make_whole(tmp_path / "source", family, num_hidden_layers=1)
    (tmp_path / "text.txt").write_text("\n".join(CORPUS) + "\n")
    (tmp_path / "more.txt").write_text("so warm\n")
    for name, more in (("whole", ""), ("small", VOCABULARY)):
        (tmp_path / f"{name}.toml").write_text(PLAIN.replace("SOURCE", str(source)) + more)
        assert main(["export", str(tmp_path / f"{name}.toml"), "--out", str(tmp_path / name)]) == 0
    out = tmp_path / "small"
    manifest = read_document(out)
    assert [stage["stage"] for stage in manifest["stages"]] == ["vocabulary", "graph"]
    assert manifest["stages"][0]["metrics"]["corpus_changed"] == 0.0
    assert [(file["split"], file["file"]) for file in manifest["data"]["files"]] == [
        ("unlabelled", "text.txt"),
        ("corpus", "more.txt"),
    ]
    assert "vocabulary: pieces_before" in (out / "README.md").read_text()
    whole = edgebert.load(tmp_path / "whole")
    small = edgebert.load(out)
    assert small.task._encoder.vocabulary_size < whole.task._encoder.vocabulary_size
    for texts in ([*CORPUS, "so warm"], CORPUS[:1]):
        for (theirs,), (ours,) in zip(whole.raw(texts), small.raw(texts), strict=True):
            assert np.array_equal(ours, theirs)
    assert small("so warm").scores == whole("so warm").scores


LOW_RANK = """
[vocabulary]
size = 75
keep = KEEP
rank = 16
[vocabulary.recover]
epochs = 8.0
learning_rate = 2e-3
batch_size = 8
"""


@pytest.mark.slow
def test_a_table_of_low_rank_is_recovered_and_no_stage_before_is_done_again(
    built: Path, checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = tmp_path / "tiny.toml", tmp_path / "low"
    low_rank = LOW_RANK.replace("KEEP", json.dumps([*NICE, *NASTY]))
    recipe.write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)).replace('"onnx", "openvino"', '"onnx"') + low_rank)
    work = built.with_name(built.name + ".work")
    command = ["export", str(recipe), "--data-dir", str(data_dir), "--out", str(out), "--work", str(work), "--json"]
    assert main(command) == 0
    answer = json.loads(capsys.readouterr().out)
    done = [(stage["title"], stage["cached"]) for stage in answer["stages"]]
    assert [title for title, cached in done if cached] == [
        *("finetune", "distill", "prune", "recover"),
        *("graph of finetune, plain", "graph of finetune, fast", "graph of distill, fast", "graph of recover, fast"),
        *("graph of recover-vocabulary, fast", "score of recover-vocabulary, fast"),
    ]
    manifest = read_document(out)
    chain = ["finetune", "distill", "prune", "recover", "vocabulary", "recover-vocabulary", "quantize"]
    assert [stage["stage"] for stage in manifest["stages"]] == chain
    figures = manifest["stages"][4]["metrics"]
    assert (figures["pieces_before"], figures["pieces"]) == (78, 75)
    assert 0 < figures["corpus_changed"] < 1
    assert 0.4 < figures["norm_kept"] < 1
    assert manifest["metrics"]["test"]["value"] > 0.75
    assert manifest["stages"][-1]["metrics"]["agreement"]["agreement"] >= 0.9
    config = json.loads((out / "config.json").read_text())
    assert (config["vocab_size"], config["edgebert_embedding_rank"]) == (75, 16)
    stages = [path.name for path in sorted(out.with_name("low.stages").iterdir())]
    assert stages == ["0-baseline", "1-graph", "2-distill", "3-prune", "4-vocabulary"]
    assert edgebert.load(out)("a lovely film").label == "pos"
