"""`edgebert export CHECKPOINT`: exports a model without a recipe."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, refused
from conftest import make_checkpoint
from family_checkpoints import make_family
from tokenizers import ByteLevelBPETokenizer

import edgebert
from edgebert.compress.inferred import Asked, infer
from edgebert.compress.labels import Labels, with_own_values
from edgebert.compress.neutral_texts import OTHERS, ROWS, write_texts
from edgebert.compress.stated import as_numbered
from edgebert.errors import CheckpointError, DataError, EdgeBertError, RunError, SettingsError
from edgebert.recipe import DataSettings
from edgebert.tasks.training_table import training_task

MEAN = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


@pytest.fixture
def folder(tmp_path: Path, classifier_checkpoint: Path) -> Path:
    """A copy of a classifier's folder."""
    return Path(shutil.copytree(classifier_checkpoint, tmp_path / "model"))


def state(folder: Path, **entries: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    config = {key: value for key, value in (config | entries).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def inferred(folder: Path, **asked: Any) -> Any:
    return infer(str(folder), folder, Asked(**asked), "texts.jsonl").recipe


@pytest.mark.parametrize(
    ("entries", "task"),
    [
        ({}, "text-classification"),
        ({"id2label": {"0": "a", "1": "b", "2": "c"}}, "text-classification"),
        ({"problem_type": "multi_label_classification"}, "multi-label"),
        ({"id2label": {"0": "score"}, "label2id": {"score": 0}}, "regression"),
        ({"id2label": None, "num_labels": 1}, "regression"),
        ({"architectures": ["BertForTokenClassification"]}, "token-classification"),
        ({"architectures": ["BertForQuestionAnswering"]}, "question-answering"),
        ({"architectures": ["BertForMaskedLM"]}, "fill-mask"),
        ({"architectures": ["BertForPreTraining"]}, "fill-mask"),
    ],
)
def test_the_task_comes_from_the_config(folder: Path, entries: dict[str, Any], task: str) -> None:
    assert inferred(state(folder, **entries)).task == task


def test_a_sentence_folder_gives_vectors_and_a_cross_encoder_takes_pairs(folder: Path) -> None:
    scores = inferred(state(folder, sbert_ce_default_activation_function="torch.nn.modules.linear.Identity"))
    assert (scores.task, scores.data.text_pair) == ("text-classification", "text_pair")
    (folder / "modules.json").write_text(json.dumps(MEAN))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    # The entry of the cross-encoder from which the encoder was trained has no effect.
    assert inferred(folder).head == {"normalize": False}
    assert (inferred(folder).task, inferred(folder).data.text_pair) == ("similarity", "")


@pytest.mark.parametrize("kind", ["TokenClassification", "MaskedLM", "QuestionAnswering"])
def test_the_mark_of_a_cross_encoder_is_of_heads_over_texts_alone(folder: Path, kind: str) -> None:
    marked = state(folder, sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"})
    pairs = inferred(state(marked, architectures=[f"BertFor{kind}"])).data.text_pair
    assert bool(pairs) == (kind == "QuestionAnswering")


def test_vectors_of_an_encoder_alone_have_their_own_length(folder: Path) -> None:
    assert inferred(folder, pooling="cls").head == {"normalize": False, "pooling": "cls"}
    assert inferred(folder, task="similarity").head == {"normalize": False}
    assert inferred(folder).head == {}


def test_a_question_takes_a_context_and_pairs_may_be_asked_for(folder: Path) -> None:
    assert inferred(folder).data.text_pair == ""
    assert inferred(folder, pairs=True).data.text_pair == "text_pair"
    assert inferred(state(folder, architectures=["BertForQuestionAnswering"])).data.text_pair == "text_pair"


def test_the_longest_input_is_the_least_that_the_folder_states(folder: Path, tmp_path: Path) -> None:
    assert inferred(folder).data.max_length == 64
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"model_max_length": 40}))
    assert inferred(folder).data.max_length == 40
    long = make_family(tmp_path / "long", "bert", max_position_embeddings=600)
    assert inferred(long).data.max_length == 512
    (long / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"model_max_length": 40}))
    assert inferred(long).data.max_length == 40
    # RoBERTa's positions begin after the padding id.
    roberta = make_family(tmp_path / "roberta", "roberta")
    config = json.loads((roberta / "config.json").read_text())
    assert inferred(roberta).data.max_length == config["max_position_embeddings"] - config["pad_token_id"] - 1


def test_the_file_that_states_the_longest_input_is_named(folder: Path) -> None:
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 24}')
    (folder / "modules.json").write_text(json.dumps(MEAN))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}')
    facts = infer(str(folder), folder, Asked(), "texts.jsonl").facts
    assert ("longest input", "24 tokens", str(folder / "sentence_bert_config.json")) in facts


@pytest.mark.parametrize(
    ("own", "asked", "values"),
    [
        (["bad", "good"], ("no", "yes"), ["bad", "good"]),
        (["bad", "good"], ("good", "bad"), ["good", "bad"]),
        (["a", "a"], ("no", "yes"), ["no", "yes"]),
    ],
    ids=["others", "exchanged", "one-name"],
)
def test_names_for_labels_go_by_the_outputs_numbers(
    own: list[str], asked: tuple[str, ...], values: list[str], folder: Path
) -> None:
    recipe, head = as_numbered(inferred(state(folder, id2label=dict(enumerate(own))), labels=asked), own)
    assert (recipe.data.label_names, head) == ({}, list(asked))
    assert with_own_values(Labels(head, head), own) == Labels(values, list(asked))
    with pytest.raises(SettingsError, match=r"--labels\) names output '#1', but the head has 1 outputs, #0 to #0"):
        as_numbered(inferred(folder, labels=asked), ["a"])


@pytest.mark.slow
def test_outputs_of_one_name_get_names_of_their_own(run: Run, folder: Path, tmp_path: Path) -> None:
    state(folder, id2label={"0": "same", "1": "same"}, label2id={"same": 1})
    plain = state(Path(shutil.copytree(folder, tmp_path / "plain")), id2label={"0": "yes", "1": "no"})
    for name, source, more in (("a", folder, ("--labels", "no,yes")), ("b", plain, ("--labels", "no,yes"))):
        code, out, err = run("export", source, "--out", tmp_path / f"my {name}", "--precision", "fp32", *more)
        assert code == 0, err
        assert f"try it: edgebert predict '{tmp_path / f'my {name}'}' " in out
    first, second = (edgebert.load(tmp_path / f"my {name}")("a good film").scores for name in "ab")
    assert list(first) == ["no", "yes"]
    assert first == second


@pytest.mark.parametrize(
    ("entries", "asked", "error", "told"),
    [
        ({"architectures": ["BertModel"]}, {}, CheckpointError, "architectures is ['BertModel'], which names no task"),
        ({"architectures": None}, {}, CheckpointError, "architectures is None, which names no task; give --task"),
        ({"model_type": "gpt2"}, {}, CheckpointError, "model family 'gpt2' is not supported"),
        ({}, {"task": "sentiment"}, SettingsError, "--task is 'sentiment'; expected one of fill-mask, "),
        ({}, {"labels": ("a", "")}, SettingsError, "--labels has no name for output 1; name each"),
        ({}, {"labels": ("a", "a")}, SettingsError, "--labels names outputs 0 and 1 'a'; give each a name of its own"),
        ({}, {"labels": ("a",)}, SettingsError, "--labels names 1 outputs, but the head has 2; name each"),
        ({}, {"task": "similarity", "labels": ("a",)}, SettingsError, "similarity has none with a name; leave it out"),
        ({}, {"task": "fill-mask", "pairs": True}, SettingsError, "fill-mask takes one text at a time; leave it out"),
        ({}, {"pooling": "cls", "pairs": True}, SettingsError, "similarity takes one text at a time; leave it out"),
        ({}, {"task": "regression", "pooling": "mean"}, SettingsError, "regression pools nothing; leave it out"),
    ],
)
def test_what_cannot_be_inferred_is_asked_for(
    folder: Path, entries: dict[str, Any], asked: dict[str, Any], error: type[EdgeBertError], told: str
) -> None:
    with pytest.raises(error) as refusal:
        inferred(state(folder, **entries), **asked)
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("adapter_config.json", "is an adapter (PEFT), which a bundle cannot contain"),
        ("pytorch_model.bin", "weights only as pickle (pytorch_model.bin)"),
        ("tf_model.h5", "weights are in tf_model.h5 (TensorFlow), not read here"),
        ("model.gguf", "weights are in model.gguf (GGUF), not read here"),
        ("manifest.json", "a bundle, not a checkpoint"),
    ],
)
def test_weights_of_another_kind_are_named_before_anything_runs(run: Run, folder: Path, name: str, told: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(b"{}")
    assert told in refused(run("export", folder, "--out", folder.parent / "out"))
    assert not (folder.parent / "out.work").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("option", ["--out", "--work"])
def test_a_pipe_where_a_folder_is_to_be(option: str, run: Run, folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    code, _, err = run("export", folder, "--out", tmp_path / "out", option, tmp_path / "pipe")
    told = err.splitlines()[-1]
    assert code == 2
    assert told.startswith(f"edgebert: {tmp_path / 'pipe'}: ")
    assert told.endswith(f"give another {option}")


def test_files_of_a_trainer_are_no_weights_and_its_checkpoints_are_named(run: Run, folder: Path) -> None:
    weights = folder / "model.safetensors"
    for name in ("training_args.bin", "optimizer.pt", "rng_state_0.pth"):
        (folder / name).write_bytes(b"x")
    for step in (500, 1000):
        shutil.copytree(folder, folder / f"checkpoint-{step}", ignore=lambda *_: ["checkpoint-500"])
    weights.unlink()
    said = refused(run("export", folder, "--out", folder.parent / "out"))
    assert f"{folder}: no model.safetensors, but checkpoint-1000 has one; give {folder / 'checkpoint-1000'}" in said
    for step in (500, 1000):
        shutil.rmtree(folder / f"checkpoint-{step}")
    assert "no model.safetensors; save the weights" in refused(run("export", folder, "--out", folder.parent / "out"))


def test_a_head_of_one_output_is_told_both_ways_to_its_score(folder: Path) -> None:
    with pytest.raises(DataError, match=r"--task regression, or task = .regression. in the recipe"):
        training_task("text-classification").read_labels(DataSettings(), {}, folder, ["score"])


def test_options_of_a_checkpoint_and_of_a_recipe_do_not_mix(run: Run, folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "my.toml"
    recipe.write_text('name = "a"\ntask = "text-classification"\n[model]\nsource = "x"\n')
    assert "--pairs is for a checkpoint without a recipe" in refused(run("export", recipe, "--pairs"))
    assert "--data-dir goes with a recipe" in refused(run("export", folder, "--data-dir", tmp_path))
    assert "--text nothing.txt: no such file" in refused(run("export", folder, "--text", "nothing.txt"))
    weights = folder / "model.safetensors"
    assert f"{weights}: a file; give the folder" in refused(run("export", weights))


def test_neutral_sentences_are_the_same_every_time_and_in_scripts_that_the_tokenizer_knows(tmp_path: Path) -> None:
    few, all_bytes = make_checkpoint(tmp_path / "few"), tmp_path / "bytes"
    all_bytes.mkdir()
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(["a film"], vocab_size=300)
    tokenizer.save(str(all_bytes / "tokenizer.json"))
    for name, encoder in (("a", few), ("b", few), ("c", all_bytes)):
        write_texts(tmp_path / name, encoder, pairs=name == "c")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    latin = [json.loads(line)["text"] for line in (tmp_path / "a").read_text().splitlines()]
    rows = [json.loads(line) for line in (tmp_path / "c").read_text().splitlines()]
    assert len(latin) == len(rows) == ROWS
    assert not set(OTHERS) & set(latin)
    assert [row["text_pair"] for row in rows[: len(OTHERS)]] == list(OTHERS)
    assert len(set(latin)) == ROWS


@pytest.mark.slow
@pytest.mark.int8
def test_a_bundle_answers_as_its_checkpoint(run: Run, folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    code, out, err = run("export", folder, "--out", tmp_path / "b", "--precision", "fp32", "--labels", "no,yes")
    assert code == 0, err
    assert f"task: text-classification ({folder / 'config.json'}: BertForSequenceClassification, 2 outputs)" in err
    assert f"longest input: 64 tokens ({folder / 'config.json'}: max_position_embeddings)" in err
    assert "size: " in out
    assert "speed: " not in out
    texts = ["a good film", "the story was dull and cold", "so"]
    tokenizer, model = (kind.from_pretrained(folder) for kind in (AutoTokenizer, AutoModelForSequenceClassification))
    with torch.no_grad():
        right = torch.softmax(model(**tokenizer(texts, padding=True, return_tensors="pt")).logits, -1).numpy()
    answers = edgebert.load(tmp_path / "b")(texts)
    found = np.array([[answer.scores["no"], answer.scores["yes"]] for answer in answers])
    assert np.abs(found - right).max() < 1e-5
    # Again, now in INT8, with a text from the user.
    (tmp_path / "mine.txt").write_text("\n".join(texts * 3) + "\n")
    code, out, err = run("export", folder, "--out", tmp_path / "b", "--text", tmp_path / "mine.txt")
    assert code == 0, err
    assert edgebert.load(tmp_path / "b")("a good film").label in ("LABEL_0", "LABEL_1")
    # It is measured together with the same model in full precision, which is kept for further measurements.
    beside = tmp_path / "b.work" / "edgebert-full-precision"
    assert re.search(
        r"^speed: \d+\.\d\d times full precision \(95%: .*\), \d+\.\d\d against \d+\.\d\d ms per text, on this CPU, ",
        out,
        re.M,
    )
    assert f"measure it: edgebert bench {tmp_path / 'b'} --data FILE --baseline {beside}\n" in out
    answers = edgebert.load(beside)(texts)
    found = np.array([[answer.scores["LABEL_0"], answer.scores["LABEL_1"]] for answer in answers])
    assert np.abs(found - right).max() < 1e-5
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert [entry["file"] for entry in manifest["data"]["files"]] == ["mine.txt"]
    code, out, _ = run("export", folder, "--out", tmp_path / "b", "--text", tmp_path / "mine.txt")
    assert (code, out[:13]) == (0, "nothing to do")


def test_what_the_folder_says_is_told(folder: Path, tmp_path: Path) -> None:
    facts = {what: (value, stated) for what, value, stated in infer(str(folder), folder, Asked(), "t").facts}
    path = folder / "config.json"
    assert facts["labels"] == ("LABEL_0, LABEL_1", f"{path}: no names; --labels gives them")
    assert facts["input"] == ("single texts", "without --pairs")
    state(folder, id2label={"0": "bad", "1": "good"}, label2id=None)
    facts = {what: (value, stated) for what, value, stated in infer(str(folder), folder, Asked(), "t").facts}
    assert facts["labels"] == ("bad, good", f"{path}: id2label")
    assert "formats" not in facts
    deberta = infer("deberta", make_family(tmp_path / "deberta", "deberta-v2"), Asked(), "t")
    assert deberta.recipe.export.formats == ("onnx",)
    assert deberta.facts[-1][2] == "it does not support the layers of deberta-v2"
    vectors = tmp_path / "vectors"
    shutil.copytree(folder, vectors / "0_Transformer")
    (vectors / "modules.json").write_text(json.dumps([MEAN[0] | {"path": "0_Transformer"}, MEAN[1]]))
    (vectors / "1_Pooling").mkdir()
    (vectors / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, "pooling_mode": "cls"})
    )
    facts = {what: (value, stated) for what, value, stated in infer(str(vectors), vectors, Asked(), "t").facts}
    assert facts["vectors"] == ("cls pooling, of their own length", str(vectors / "modules.json"))
    assert facts["encoder"][0] == str(vectors / "0_Transformer")


def test_the_same_command_again_has_nothing_to_do(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    assert run("export", folder, "--out", out, "--precision", "fp32")[0] == 0
    code, said, _ = run("export", folder, "--out", out, "--precision", "fp32")
    assert (code, said[:13]) == (0, "nothing to do")
    state(folder, id2label={"0": "bad", "1": "good"}, label2id={"bad": 0, "good": 1})
    code, _, err = run("export", folder, "--out", out, "--precision", "fp32")
    assert code == 0, err
    assert set(edgebert.load(out)("a good film").scores) == {"bad", "good"}


def test_a_refused_checkpoint_that_is_mended_is_exported_by_the_same_command(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    file = folder / "tokenizer.json"
    whole = file.read_text()
    document = json.loads(whole)
    del document["model"]["vocab"]["[UNK]"]
    file.write_text(json.dumps(document))
    code, out, err = run("export", folder, "--out", tmp_path / "b", "--precision", "fp32")
    assert (code, out) == (2, "")
    assert "[UNK]" in err.splitlines()[-1]
    file.write_text(whole)
    code, _, err = run("export", folder, "--out", tmp_path / "b", "--precision", "fp32")
    assert code == 0, err


@pytest.mark.slow
def test_labels_beside_the_texts_do_not_stop_the_first_look(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("text,label\na good film,five stars\nthe story was dull,\n")
    code, out, err = run("export", folder, "--out", tmp_path / "b", "--text", tmp_path / "mine.csv")
    assert code == 0, err
    assert "speed: " in out
    # The same command exports a deleted full-precision bundle again.
    shutil.rmtree(tmp_path / "b.work" / "edgebert-full-precision")
    code, out, _ = run("export", folder, "--out", tmp_path / "b", "--text", tmp_path / "mine.csv")
    assert (code, "speed: " in out) == (0, True)
    code, out, _ = run("export", folder, "--out", tmp_path / "b", "--text", tmp_path / "mine.csv")
    assert (code, out[:13]) == (0, "nothing to do")


def test_an_export_whose_processes_cannot_be_timed_is_done_all_the_same(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise RunError("b: single_stream failed: no more processes")

    monkeypatch.setattr("edgebert.commands.export.glance", failing)
    code, out, err = run("export", folder, "--out", tmp_path / "b")
    assert code == 0
    assert "try it: edgebert predict" in out
    assert "speed: " not in out
    assert err.splitlines()[-1] == "edgebert: it could not be timed: b: single_stream failed: no more processes"
    # With machine-readable output, no latency is measured.
    shutil.rmtree(tmp_path / "b.work")
    code, out, _ = run("export", folder, "--out", tmp_path / "c", "--work", tmp_path / "b.work", "--json")
    assert (code, json.loads(out)["bundle"]) == (0, str(tmp_path / "c"))
    assert not (tmp_path / "b.work" / "edgebert-full-precision").exists()


def test_python_says_the_same(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--task is 'sentiment'"):
        edgebert.export(folder, out=tmp_path / "o", task="sentiment")
    with pytest.raises(SettingsError, match="--data-dir goes with a recipe"):
        edgebert.export(folder, out=tmp_path / "o", data_dir=tmp_path)
