"""Folders that sentence-transformers saved answer in a bundle as they do there, or are refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from family_checkpoints import make_family

import edgebert
from edgebert.cli import main
from edgebert.compress.sentence_folder import encoder_folder, read_sentence_folder
from edgebert.errors import CheckpointError, InputError

TEXTS = ["the story was lovely", "A warm meal", "so dull and so very cold", "bad", "good film " * 20]
RECIPE = """
name = "sentences"
task = "similarity"
[model]
source = "CHECKPOINT"
[data]
unlabelled = ["texts.txt"]
max_length = 32
[quantize]
format = "none"
[export]
stages = false
parity_samples = 4
[head]
"""


def write(path: Path, document: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")


def make_folder(folder: Path, pooling: dict[str, Any], family: str = "bert", normalize: bool = True) -> Path:
    make_family(folder, family, head="", num_hidden_layers=1)
    kinds = [("Transformer", ""), ("Pooling", "1_Pooling"), *([("Normalize", "2_Normalize")] if normalize else [])]
    modules = [
        {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for at, (kind, path) in enumerate(kinds)
    ]
    write(folder / "modules.json", modules)
    write(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 32} | pooling)
    return folder


def export(folder: Path, tmp_path: Path, head: str = "") -> Any:
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(folder)) + head)
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 0
    return edgebert.load(tmp_path / "bundle")


def theirs(folder: Path, texts: list[str], **how: Any) -> np.ndarray:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not installed")
    return sentence_transformers.SentenceTransformer(str(folder), device="cpu").encode(texts, batch_size=1, **how)


@pytest.mark.parametrize(
    ("family", "pooling"),
    [
        ("bert", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}),
        ("distilbert", {"pooling_mode_max_tokens": True}),
        ("roberta", {"pooling_mode_lasttoken": True, "pooling_mode_mean_sqrt_len_tokens": True}),
        ("electra", {"pooling_mode": ["weightedmean", "cls"]}),
        ("mobilebert", {"pooling_mode": "mean"}),
    ],
    ids=["cls", "max", "sqrt+last", "weighted+cls", "mean"],
)
def test_a_bundle_embeds_as_its_folder_does(family: str, pooling: dict[str, Any], tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", pooling, family)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    model = export(folder, tmp_path)
    assert np.abs(model.embed(TEXTS) - theirs(folder, TEXTS)).max() < 1e-5
    assert model.manifest["max_length"] == 16


def test_prompts_and_lower_casing_are_those_of_the_folder(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", {"pooling_mode_mean_tokens": True}, "roberta", normalize=False)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": True})
    prompts = {"query": "the Story of ", "passage": "a ", "document": ""}
    write(folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": "query"})
    model = export(folder, tmp_path, "normalize = false")
    texts = ["A Warm Meal", "good"]
    assert np.abs(model.embed(texts) - theirs(folder, texts)).max() < 1e-5
    assert np.abs(model.embed(texts, prompt_name="passage") - theirs(folder, texts, prompt_name="passage")).max() < 1e-5
    assert np.abs(model.embed(texts, prompt_name="") - theirs(folder, texts, prompt="")).max() < 1e-5
    vectors = theirs(folder, texts)
    cosine = vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1])
    assert model.similarity(*texts) == pytest.approx(float(cosine), abs=1e-5)
    assert model(tuple(texts)).score == pytest.approx(float(cosine), abs=1e-5)
    assert list(model.search(texts[1], vectors, 2)[0]) == [1, 0]
    with pytest.raises(InputError, match="this bundle has the prompts: query, passage"):
        model.embed(texts, prompt_name="other")


def test_the_encoder_may_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", {"pooling_mode_cls_token": True})
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    write(folder / "modules.json", modules)
    (folder / "0_Transformer").mkdir()
    for path in [path for path in folder.iterdir() if path.is_file() and path.name != "modules.json"]:
        path.rename(folder / "0_Transformer" / path.name)
    assert encoder_folder(folder) == folder / "0_Transformer"
    found = read_sentence_folder(folder)
    assert found is not None
    assert found.pooling == "cls"


@pytest.fixture(scope="module")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("plain"), {"pooling_mode_mean_tokens": True}, normalize=False)


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "pooling_mode is 'attention'"),
        ("modules.json", [{"idx": 0, "path": "../..", "type": "x.Transformer"}], "expected folders inside"),
        ("modules.json", {"idx": 0}, "not a list of modules"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "dot"}, "similarity_fn_name is 'dot'"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "manhattan"}, "similarity_fn_name is 'manhattan'"),
        ("config_sentence_transformers.json", {"truncate_dim": 8}, "truncate_dim is 8"),
        ("config_sentence_transformers.json", {"default_prompt_name": "q"}, "not among prompts"),
        ("config_sentence_transformers.json", {"prompts": {"q": 3}}, "expected an object of texts"),
        ("config_sentence_transformers.json", [1], "not a JSON object"),
        ("sentence_bert_config.json", {"max_seq_length": "long"}, "max_seq_length is 'long'"),
    ],
)
def test_what_a_bundle_cannot_do_is_refused_by_entry(
    name: str, document: object, says: str, plain_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    write(folder / name, document)
    with pytest.raises(CheckpointError, match=says):
        read_sentence_folder(folder)


@pytest.mark.parametrize("kind", ["Dense", "LayerNorm", "CNN", "WeightedLayerPooling"])
def test_a_module_that_is_not_exported_is_named(
    kind: str, plain_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": f"2_{kind}", "type": f"sentence_transformers.models.{kind}"})
    write(folder / "modules.json", modules)
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(folder)))
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 2
    assert f"module {kind} (2_{kind}) cannot be exported" in capsys.readouterr().err


def test_a_prompt_that_pooling_leaves_out_is_refused(plain_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    write(folder / "1_Pooling" / "config.json", {"pooling_mode": "mean", "include_prompt": False})
    assert read_sentence_folder(folder) is not None
    write(folder / "config_sentence_transformers.json", {"prompts": {"q": "ask: "}, "default_prompt_name": "q"})
    with pytest.raises(CheckpointError, match="include_prompt is false"):
        read_sentence_folder(folder)


def test_a_recipe_that_pools_otherwise_is_refused(
    plain_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(plain_folder)) + 'pooling = "cls"')
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 2
    assert "head.pooling is 'cls', but the checkpoint's Pooling module says 'mean'" in capsys.readouterr().err
