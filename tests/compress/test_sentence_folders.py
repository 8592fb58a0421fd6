"""Folders of sentence-transformers give the same answers in a bundle, or are refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sentence_folders import RECIPE, TEXTS, add_module, dense, export, make_folder, theirs, write

from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.compress.sentence_folder import read_sentence_folder
from edgebert.compress.sentence_modules import VectorStep, check_steps, read_step
from edgebert.compress.student import make_student
from edgebert.compress.vector_modules import load_vector_modules
from edgebert.errors import CheckpointError, InputError
from edgebert.tasks.training_table import training_task


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "pooling", "modules", "shown"),
    [
        ("bert", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, [], []),
        (
            "distilbert",
            {"pooling_mode_max_tokens": True},
            [dense(32, 8), ("Normalize", {})],
            ["Dense 32 to 8 (Tanh)"],
        ),
        (
            "roberta",
            {"pooling_mode_lasttoken": True, "pooling_mode_mean_sqrt_len_tokens": True},
            [
                dense(64, 16, "activation.GELU", bias=False),
                dense(16, 8, "linear.Identity"),
                ("LayerNorm", {"dimension": 8}),
            ],
            ["Dense 64 to 16 (GELU)", "Dense 16 to 8 (Identity)", "LayerNorm"],
        ),
        (
            "electra",
            {"pooling_mode": ["weightedmean", "cls"]},
            [("Normalize", {}), ("Dropout", {"dropout": 0.5}), dense(64, 12, "activation.SiLU", use_residual=True)],
            ["Normalize", "Dense 64 to 12 (SiLU, residual)"],
        ),
        (
            "mobilebert",
            {"pooling_mode": "mean"},
            [("LayerNorm", {"dimension": 32}), dense(32, 32, "activation.ReLU", use_residual=True), ("Normalize", {})],
            ["LayerNorm", "Dense 32 to 32 (ReLU, residual)"],
        ),
    ],
    ids=["cls", "max", "sqrt+last", "weighted+cls", "mean"],
)
def test_a_bundle_embeds_as_its_folder_does(
    family: str, pooling: dict[str, Any], modules: list[tuple[str, dict[str, Any]]], shown: list[str], tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "model", pooling, family, normalize=not modules)
    for number, (kind, config) in enumerate(modules):
        add_module(folder, kind, config, pickled=number == 0 and kind == "Dense")
    write(folder / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": False})
    head = "" if not modules or modules[-1][0] == "Normalize" else "normalize = false"
    model = export(folder, tmp_path, head)
    wanted = theirs(folder, TEXTS)
    assert np.abs(model.embed(TEXTS) - wanted).max() < 1e-5
    assert model.manifest.max_length == 16
    assert list(model.manifest.head.modules) == shown
    card = (tmp_path / "bundle" / "README.md").read_text(encoding="utf-8")
    assert not shown or f"- Vectors: {wanted.shape[1]} numbers: " in card


@pytest.mark.slow
@pytest.mark.parametrize("family", ["roberta", "xlm-roberta", "mpnet", "modernbert", "deberta-v2"])
def test_prompts_and_lower_casing_are_those_of_the_folder(family: str, tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", {"pooling_mode_mean_tokens": True}, family, normalize=False)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": True})
    prompts = {"query": "the Story of ", "passage": "a ", "document": ""}
    write(folder / "config_sentence_transformers.json", {"prompts": prompts, "default_prompt_name": "query"})
    model = export(folder, tmp_path, "normalize = false")
    texts = ["A Warm Meal", "good"]
    assert np.abs(model.embed(texts) - theirs(folder, texts)).max() < 1e-5
    assert np.abs(model.embed(texts, prompt_name="passage") - theirs(folder, texts, prompt_name="passage")).max() < 1e-5
    assert np.abs(model.embed(texts, prompt_name="") - theirs(folder, texts, prompt="")).max() < 1e-5
    unprompted = theirs(folder, texts, prompt_name="document")
    assert np.abs(model.embed(texts, prompt_name="document") - unprompted).max() < 1e-5
    vectors = theirs(folder, texts)
    cosine = vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1])
    assert model.similarity(*texts) == pytest.approx(float(cosine), abs=1e-5)
    assert model(tuple(texts)).score == pytest.approx(float(cosine), abs=1e-5)
    assert list(model.search(texts[1], vectors, 2)[0]) == [1, 0]
    with pytest.raises(InputError, match="this bundle has the prompts: query, passage, document"):
        model.embed(texts, prompt_name="other")


@pytest.fixture(scope="module")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("plain"), {"pooling_mode_mean_tokens": True}, normalize=False)


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "attention"}, "pooling_mode is 'attention'"),
        ("1_Pooling/config.json", {"pooling_mode": []}, "pooling_mode is an empty list"),
        ("1_Pooling/config.json", {"pooling_mode": 3}, "pooling_mode is 3; supported"),
        ("modules.json", [{"name": "0", "path": "../..", "type": "x.Transformer"}], "expected folders inside"),
        ("modules.json", [{"name": "0", "path": "", "type": "mine.Transformer"}], "module mine.Transformer"),
        ("modules.json", [{"name": "0", "path": "a\0b", "type": "x"}], "not a list of modules"),
        ("modules.json", [{"name": "0", "path": 5, "type": "x"}], "not a list of modules"),
        ("modules.json", [{"name": "0", "path": "a" * 5000, "type": "x"}], "too long; shorten it"),
        ("modules.json", {"idx": 0}, "not a list of modules"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "dot"}, "similarity_fn_name is 'dot'"),
        ("config_sentence_transformers.json", {"similarity_fn_name": "manhattan"}, "similarity_fn_name is 'manhattan'"),
        ("config_sentence_transformers.json", {"truncate_dim": 0}, "truncate_dim is 0"),
        ("config_sentence_transformers.json", {"truncate_dim": "8"}, "truncate_dim is '8'"),
        ("modules.json", [{"name": "a", "path": "", "type": "x"}] * 2, "two modules have the name 'a'"),
        ("modules.json", [], r"modules \(none\); expected Transformer, Pooling"),
        ("config_sentence_transformers.json", {"default_prompt_name": "q"}, "not among prompts"),
        ("config_sentence_transformers.json", {"default_prompt_name": ["q"]}, "not among prompts"),
        ("config_sentence_transformers.json", {"prompts": {"q": 3}}, "expected an object of strings"),
        ("config_sentence_transformers.json", [1], "not a JSON object"),
        ("sentence_bert_config.json", {"max_seq_length": "long"}, "max_seq_length is 'long'"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task is 'fill-mask'"),
        ("sentence_bert_config.json", {"module_output_name": "scores"}, "a bundle only supports 'token_embeddings'"),
        ("sentence_bert_config.json", {"config_args": {"num_hidden_layers": 1}}, "config_args has 'num_hidden_layers'"),
        (
            "sentence_bert_config.json",
            {"tokenizer_args": {"model_max_length": 8}},
            "tokenizer_args has 'model_max_length'.*; write it into tokenizer_config.json, and remove it here",
        ),
        ("sentence_bert_config.json", {"model_args": {"gguf_file": "x"}}, "load the model with it, save that"),
        ("1_Pooling/config.json", {"pooling_mode": None}, "pooling_mode is None"),
        ("1_Pooling/config.json", {"whiten": True}, "'whiten' is not a setting of this module"),
        ("config_sentence_transformers.json", {"model_type": "SparseEncoder"}, "model_type is 'SparseEncoder', and"),
        ("config_sentence_transformers.json", {"model_type": "sentencetransformer"}, "set it to 'SentenceTransformer'"),
        ("config_sentence_transformers.json", {"model_type": None}, "model_type is None, and sentence-transformers"),
        (
            "sentence_bert_config.json",
            {"processing_kwargs": {"text": {"padding": "max_length"}}},
            "processing_kwargs is",
        ),
    ],
)
def test_what_a_bundle_cannot_do_is_refused_by_entry(
    name: str, document: object, says: str, plain_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    write(folder / name, document)
    with pytest.raises(CheckpointError, match=says):
        read_sentence_folder(folder)


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("sentence_bert_config.json", {"model_args": {"add_pooling_layer": False}}),
        ("sentence_bert_config.json", {"processor_kwargs": {"padding_side": "right", "token": None}}),
        ("config_sentence_transformers.json", {"model_type": "SentenceTransformer"}),
    ],
)
def test_settings_that_change_no_vector_are_taken(
    name: str, document: object, plain_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    found = read_sentence_folder(folder)
    write(folder / name, document)
    assert found is not None
    assert read_sentence_folder(folder) == found


@pytest.mark.parametrize(("kind", "path"), [("StaticEmbedding", "0_Static"), ("Router", ""), ("CLIPModel", "0_CLIP")])
def test_a_folder_without_a_transformer_is_refused_by_its_first_module(
    kind: str, path: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = {"idx": 0, "name": "0", "path": path, "type": f"sentence_transformers.models.{kind}"}
    write(tmp_path / "model" / "modules.json", [module])
    (tmp_path / "model" / path).mkdir(exist_ok=True)
    assert main(["export", str(tmp_path / "model"), "--out", str(tmp_path / "bundle")]) == 2
    assert f"modules.json: module {kind} ({path or 'model'}) is no transformer encoder" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["1_Pooling", "2_Dense", "3_LayerNorm"])
def test_a_module_without_its_settings_is_refused(module: str, plain_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    add_module(folder, *dense(32, 8))
    add_module(folder, "LayerNorm", {"dimension": 8})
    (folder / module / "config.json").unlink()
    with pytest.raises(CheckpointError, match=rf"{module}.config.json is missing, which modules.json names; copy the"):
        read_sentence_folder(folder)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("modules.json", "[" * 100_000, "not a list of modules"),
        ("modules.json", '[{"idx": 1e999}]', "the number 1e999 is too large"),
        ("1_Pooling/config.json", "[" * 100_000, "not a JSON object"),
        ("config_sentence_transformers.json", '{"a":' * 100_000, "not a JSON object"),
    ],
)
def test_a_file_that_is_not_strict_json_is_refused(
    name: str, content: str, says: str, plain_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    (folder / name).write_text(content)
    with pytest.raises(CheckpointError, match=says):
        read_sentence_folder(folder)


@pytest.mark.parametrize("kind", ["CNN", "WeightedLayerPooling"])
def test_a_module_that_is_not_exported_is_named(
    kind: str, plain_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    add_module(folder, kind)
    (tmp_path / "texts.txt").touch()
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(folder)))
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 2
    assert f"module {kind} (2_{kind}) cannot be exported" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("module", "says"),
    [
        (dense(32, 8, "activation.PReLU"), "activation_function is 'torch.nn.modules.activation.PReLU'"),
        (("Dense", {"in_features": 32, "out_features": 8, "activation_function": None}), "is None, which a bundle"),
        (("Dense", {"in_features": 32, "out_features": 8, "activation_function": "mine.Tanh"}), "is 'mine.Tanh'"),
        (dense(32, 8, module_input_name="token_embeddings"), "module_input_name is 'token_embeddings'"),
        (("LayerNorm", {"dimension": 8, "eps": 0.1}), "'eps' is not a setting of this module"),
        (("Dropout", {"p": 0.1}), "'p' is not a setting of this module"),
        (dense(32, 0), "out_features is 0; expected a whole number"),
        (dense(32, 8, bias="yes"), "bias is 'yes'; expected true or false"),
    ],
)
def test_a_module_that_is_not_exported_is_refused_by_entry(
    module: tuple[str, dict[str, Any]], says: str, tmp_path: Path
) -> None:
    write(tmp_path / "config.json", module[1])
    with pytest.raises(CheckpointError, match=says):
        read_step(module[0], tmp_path)


def test_modules_that_do_not_fit_one_another_are_refused(tmp_path: Path) -> None:
    steps = (VectorStep("Dense", 32, 16), VectorStep("LayerNorm", 8, 8), VectorStep("Truncate", outputs=4))
    places = (tmp_path / "2_Dense", tmp_path / "3_LayerNorm", tmp_path)
    assert check_steps((steps[0], steps[2]), places[::2], 32) == 4
    with pytest.raises(CheckpointError, match="Dense module takes 32 numbers, but the module before it outputs 64"):
        check_steps(steps, places, 64)
    with pytest.raises(CheckpointError, match=r"3_LayerNorm.*takes 8 numbers, but the module before it outputs 16"):
        check_steps(steps, places, 32)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({"linear.weight": (8, 32)}, r"linear.bias has the shape of nothing.*makes \[8\]"),
        ({"linear.weight": (8, 16), "linear.bias": (8,)}, r"linear.weight has the shape \[8, 16\].*makes \[8, 32\]"),
        ({}, "no model.safetensors and no pytorch_model.bin"),
    ],
)
def test_weights_of_a_module_that_do_not_fit_are_refused(
    weights: dict[str, tuple[int, ...]], says: str, tmp_path: Path
) -> None:
    if weights:
        save_file({name: torch.zeros(shape) for name, shape in weights.items()}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=says):
        load_vector_modules("mean", [VectorStep("Dense", 32, 8)], [tmp_path])


def test_a_pickle_of_a_module_runs_no_code(tmp_path: Path) -> None:
    class Calls:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"linear.weight": Calls()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="weights cannot be read"):
        load_vector_modules("mean", [VectorStep("Dense", 32, 8)], [tmp_path])
    assert not (tmp_path / "ran").exists()


def test_stages_carry_the_modules_along(plain_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    add_module(folder, *dense(32, 8))
    add_module(folder, "LayerNorm", {"dimension": 8})
    found = read_sentence_folder(folder)
    assert found is not None
    modules = load_vector_modules("mean", found.steps, found.places)
    checkpoint.take_over(folder, "similarity", [], tmp_path / "taken", modules)
    half = training_task("similarity", {"normalize": False})
    model = checkpoint.load_model(tmp_path / "taken", "similarity", []).eval()
    student = make_student(model, (0,)).eval()
    checkpoint.save_model(student, checkpoint.load_tokenizer(folder), tmp_path / "student")
    again = checkpoint.load_model(tmp_path / "student", "similarity", []).eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    with torch.no_grad():
        ours, theirs = (half.outputs(each(ids, attention_mask=torch.ones_like(ids)))[0] for each in (model, again))
    assert ours.shape == (1, 8)
    assert torch.equal(ours, theirs)
    assert half.outputs(student(ids, attention_mask=torch.ones_like(ids)))[0].requires_grad
    assert all(weight.requires_grad for weight in student.vector_modules.parameters())


def test_a_narrower_student_of_a_folder_with_modules_is_refused(
    plain_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    add_module(folder, *dense(32, 8))
    recipe = RECIPE.replace('unlabelled = ["texts.txt"]', 'train = "t.tsv"\nvalidation = "t.tsv"')
    recipe = recipe.replace("CHECKPOINT", str(folder)) + "[distill]\nlayers=[0]\nhidden_size=16"
    (tmp_path / "t.tsv").touch()
    (tmp_path / "r.toml").write_text(recipe)
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 2
    assert "distill.hidden_size is 16: the checkpoint's modules after the pooling" in capsys.readouterr().err


@pytest.mark.slow
def test_vectors_are_cut_to_the_folders_width(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", {"pooling_mode": "mean"})
    write(folder / "config_sentence_transformers.json", {"truncate_dim": 12})
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder / "tokenizer_config.json", tokenizer | {"model_max_length": 16})
    model = export(folder, tmp_path, "normalize = false")
    assert model.embed(TEXTS).shape == (len(TEXTS), 12)
    assert np.abs(model.embed(TEXTS) - theirs(folder, TEXTS)).max() < 1e-5


def test_a_prompt_that_pooling_leaves_out_is_refused(plain_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(plain_folder, tmp_path / "model"))
    included: bool | int | None
    for default, included, shown in (("q", False, "false"), (None, False, "false"), ("q", None, "null"), ("q", 0, "0")):
        write(folder / "1_Pooling" / "config.json", {"pooling_mode": "mean", "include_prompt": included})
        write(folder / "config_sentence_transformers.json", {})
        assert read_sentence_folder(folder) is not None
        settings = {"prompts": {"q": "ask: "}, "default_prompt_name": default}
        write(folder / "config_sentence_transformers.json", settings)
        with pytest.raises(CheckpointError, match=f"include_prompt is {shown}"):
            read_sentence_folder(folder)
    write(folder / "config_sentence_transformers.json", {"prompts": {"q": ""}})
    assert read_sentence_folder(folder) is not None


def test_a_recipe_that_pools_otherwise_is_refused(
    plain_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "texts.txt").touch()
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(plain_folder)) + 'pooling = "cls"')
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 2
    assert "head.pooling is 'cls', but the checkpoint's Pooling module says 'mean'" in capsys.readouterr().err
