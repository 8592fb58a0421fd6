"""Fewer words: the answers to the corpus stay bit for bit, folders reload, and the report tells what else changes."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from conftest import NASTY, NICE, RECIPE, WORDS
from family_checkpoints import FAMILIES, LETTERS, PIECES, SPECIAL, make_whole
from tokenizers.pre_tokenizers import ByteLevel

import edgebert
from edgebert.bundle import read_manifest
from edgebert.cli import main
from edgebert.compress import arch, checkpoint
from edgebert.compress.data import Labels, TaskData, pad_batch
from edgebert.compress.fit import check_fit
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.validation import torch_outputs
from edgebert.compress.vocabulary import Reader, choose, cut_vocabulary, ordered
from edgebert.errors import CheckpointError, SettingsError
from edgebert.examples import Example
from edgebert.recipe import TrainSettings, VocabularySettings, read_recipe, settings_dict
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.tasks import device_half, task_names
from edgebert.workdir import model_hash

TASK = "text-classification"
CORPUS = ["a good film", "the story was dull", "a film so cold and poor", "The GOOD, the dull; and: the xylophone!"]
OTHER = ["a warm meal", "a good film", "a lovely song is very bad"]


def examples(texts: Sequence[str], label: Any = "a") -> list[Example]:
    return [Example(text, None, label, line) for line, text in enumerate(texts, 1)]


def data_of(task: str = TASK, train: Sequence[Example] = (), **more: Any) -> TaskData:
    tags = ["O", "B-x", "I-x"]
    unnamed = ("fill-mask", "question-answering", "similarity", "regression")
    names = tags if task == "token-classification" else [] if task in unnamed else ["a", "b"]
    labels = Labels(names, names, extra={"tags": tags, "thresholds": [0.5, 0.5]}, config={"slot_tags": tags})
    splits = {"validation": [], "test": [], "unlabelled": [], **more}
    settings = settings_dict(device_half(task).Settings())
    return TaskData(task, list(train) or examples(CORPUS), labels=labels, settings=settings, fingerprints=[], **splits)


def run_of(task: str = TASK, max_length: int = 32) -> Run:
    return Run(task, next(iter(device_half(task).METRICS)), 7, max_length)


def cut(source: Path, out: Path, data: TaskData | None = None, **settings: Any) -> StageReport:
    data = data or data_of()
    return cut_vocabulary(source, data, VocabularySettings(**settings), run_of(data.task), out)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a head of two labels for every family; treat them as read-only."""
    return {family: make_whole(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


def outputs(folder: Path, data: TaskData, rows: Sequence[Example]) -> list[tuple[Any, ...]]:
    """What the model of a folder gives for rows, one window at a time."""
    model = checkpoint.load_model(folder, data.task, data.label_names).eval()
    reader = Reader.of(TextEncoder(folder / "tokenizer.json", 32), data)
    windows = [window for row in rows for window in reader.task.encode(reader.task.given(row))]
    return list(torch_outputs(model, windows, data.half, reader.task.OUTPUTS, model.config.pad_token_id, batch_size=1))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_corpus_is_answered_bit_for_bit_as_before(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    report = cut(folders[family], tmp_path)
    before, after = (outputs(folder, data_of(), examples(CORPUS)) for folder in (folders[family], tmp_path))
    for (theirs,), (ours,) in zip(before, after, strict=True):
        assert np.array_equal(ours, theirs)
    assert report.metrics["corpus_changed"] == 0.0
    assert report.metrics["corpus_unknown"] == report.metrics["corpus_unknown_before"]
    assert report.metrics["pieces"] < report.metrics["pieces_before"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_folder_is_one_that_transformers_reads(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    report = cut(folders[family], tmp_path)
    checkpoint.check_folder(tmp_path)
    tokenizers = [transformers.AutoTokenizer.from_pretrained(folder) for folder in (folders[family], tmp_path)]
    loader = transformers.AutoModelForSequenceClassification
    models = [loader.from_pretrained(folder).eval() for folder in (folders[family], tmp_path)]
    whole, small = tokenizers
    assert len(small) == report.metrics["pieces"] == models[1].config.vocab_size
    words = arch.embeddings(models[1]).word_embeddings
    assert words.num_embeddings == len(small)
    assert words.padding_idx == models[1].config.pad_token_id == small.pad_token_id
    for name in ("cls_token", "sep_token", "pad_token", "unk_token", "mask_token"):
        assert getattr(small, name) == getattr(whole, name)
        assert small.convert_ids_to_tokens(getattr(small, f"{name}_id")) == getattr(whole, name)
    batches = [tokenizer(CORPUS, CORPUS[::-1], padding=True, return_tensors="pt") for tokenizer in tokenizers]
    tokens = [
        [tokenizer.convert_ids_to_tokens(row) for row in batch["input_ids"]]
        for tokenizer, batch in zip(tokenizers, batches, strict=True)
    ]
    assert tokens[0] == tokens[1]
    names = ("input_ids", "attention_mask")
    with torch.no_grad():
        theirs, ours = (
            model(**{name: batch[name] for name in names}).logits for model, batch in zip(models, batches, strict=True)
        )
    assert torch.equal(ours, theirs)
    width = words.embedding_dim
    rows = (report.metrics["pieces_before"] - report.metrics["pieces"]) * width * 4
    assert report.metrics["bytes_saved"] == pytest.approx(rows, abs=64)


@pytest.mark.parametrize("family", FAMILIES)
def test_emoji_and_other_scripts_stay_known_where_they_were(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    text = "naïve 🙂🙂 日本語 xylophone — ½"
    if family != "roberta":
        pieces = [*PIECES, "日", "本", "語", "🙂", "—", "½", "🙂🙂", "##日", "##🙂"]
        tokenizer = transformers.BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
        source = make_whole(tmp_path / "source", family, tokenizer=tokenizer)
    else:
        source = folders["roberta"]
    cut(source, tmp_path / "small", data_of(validation=examples([text])))
    whole, small = (TextEncoder(folder / "tokenizer.json", 64) for folder in (source, tmp_path / "small"))
    unknown = "[UNK]", "<unk>"
    read = [[encoder.token(number) for number in encoder.encode(text).ids] for encoder in (whole, small)]
    assert not {*read[0], *read[1]} & {*unknown}
    assert small.vocabulary_size < whole.vocabulary_size
    joined = ["".join(token.removeprefix("##") for token in tokens) for tokens in read]
    if family != "roberta":
        assert joined[0] == joined[1]
        assert "🙂🙂" in read[0]
        assert "🙂🙂" not in read[1]


@pytest.mark.parametrize("family", ["bert", "electra"])
def test_special_tokens_behind_the_words_are_numbered_anew(family: str, tmp_path: Path) -> None:
    pieces = [*(piece for piece in PIECES if piece not in SPECIAL), *reversed(SPECIAL)]
    tokenizer = transformers.BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
    tokenizer.add_tokens(["[ENTITY]"], special_tokens=True)
    source = make_whole(tmp_path / "source", family, tokenizer=tokenizer, pad_token_id=len(pieces) - 1)
    rows = [*CORPUS, "the [ENTITY] was dull"]
    data = data_of(train=examples(rows))
    report = cut(source, tmp_path / "small", data)
    config = checkpoint.load_config(tmp_path / "small")
    small = checkpoint.load_tokenizer(tmp_path / "small")
    assert report.metrics["pieces"] == len(small) < len(pieces)
    assert config.pad_token_id == small.pad_token_id == len(small) - 2
    assert small.convert_tokens_to_ids("[ENTITY]") == len(small) - 1
    for (theirs,), (ours,) in zip(
        outputs(source, data, examples(rows)), outputs(tmp_path / "small", data, examples(rows)), strict=True
    ):
        assert np.array_equal(ours, theirs)
    items = [{"input_ids": [small.cls_token_id, 3, small.sep_token_id], "token_type_ids": [0] * 3}]
    items.append({"input_ids": items[0]["input_ids"] + [5] * 4, "token_type_ids": [0] * 7})
    model = checkpoint.load_model(tmp_path / "small", TASK, ["a", "b"]).eval()
    with torch.no_grad():
        padded = model(**pad_batch(items, small.pad_token_id)).logits[0]
        alone = model(**pad_batch(items[:1], small.pad_token_id)).logits[0]
    assert (padded - alone).abs().max().item() <= 1e-6


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("task", task_names())
def test_every_task_reads_its_corpus_as_before(task: str, family: str, tmp_path: Path) -> None:
    if task in ("token-classification", "intent-slots"):
        pytest.importorskip("seqeval", reason="the export extra is not installed")
    source = make_whole(tmp_path / "source", family, "", slot_tags=["O", "B-x", "I-x"])
    # As every stage leaves a folder: with the task's head.
    data = data_of(task)
    checkpoint.save_model(
        checkpoint.load_model(source, task, data.label_names, entries=data.labels.config),
        checkpoint.load_tokenizer(source),
        tmp_path / "headed",
    )
    rows = examples(CORPUS, None)
    if task in ("question-answering", "similarity"):
        rows = [replace(row, text_pair=pair) for row, pair in zip(rows, CORPUS[1:] + CORPUS[:1], strict=True)]
    if task == "token-classification":
        rows += [Example("so cold , and", None, None, 9, words=("so", "cold", ",", "and"))]
    data = data_of(task, rows, corpus=examples(["it was poor: very poor"]))
    report = cut(tmp_path / "headed", tmp_path / "small", data)
    assert report.metrics["pieces"] < report.metrics["pieces_before"]
    assert report.metrics["corpus_changed"] == 0.0
    before, after = (outputs(folder, data, rows) for folder in (tmp_path / "headed", tmp_path / "small"))
    assert len(before) == len(after) >= len(rows)
    for theirs, ours in zip(before, after, strict=True):
        if task == "fill-mask":
            assert ours[0].shape[1] == report.metrics["pieces"]
        else:
            assert all(np.array_equal(one, other) for one, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_for_masked_words_is_cut_with_the_table(family: str, tmp_path: Path) -> None:
    source = make_whole(tmp_path / "source", family, "MaskedLM")
    data = data_of("fill-mask")
    report = cut(source, tmp_path / "small", data)
    assert checkpoint.has_head(tmp_path / "small", "fill-mask", [])
    models = [checkpoint.load_model(folder, "fill-mask", []).eval() for folder in (source, tmp_path / "small")]
    whole, small = (checkpoint.load_tokenizer(folder) for folder in (source, tmp_path / "small"))
    kept = whole.convert_tokens_to_ids(small.convert_ids_to_tokens(list(range(len(small)))))
    ids = small(CORPUS[0], return_tensors="pt")["input_ids"]
    ids[0, 2] = small.mask_token_id
    with torch.no_grad():
        theirs = models[0](input_ids=torch.tensor(kept)[ids]).logits[..., kept]
        ours = models[1](input_ids=ids).logits
    assert ours.shape[-1] == report.metrics["pieces"] < len(whole)
    assert (ours - theirs).abs().max().item() <= 1e-5
    assert theirs.std().item() > 1e-3
    tied = models[1].get_output_embeddings().weight is arch.embeddings(models[1]).word_embeddings.weight
    assert tied == (models[0].get_output_embeddings().weight is arch.embeddings(models[0]).word_embeddings.weight)


def test_the_report_tells_what_other_texts_feel(folders: dict[str, Path], tmp_path: Path) -> None:
    data = data_of(validation=examples(OTHER), test=examples(["a film", "été 日"]))
    report = cut(folders["bert"], tmp_path, data)
    # "warm meal" and "lovely song is very bad" are spelt out now; 日 was unknown and still is.
    assert report.metrics["validation_changed"] == round(2 / 3, 6)
    assert report.metrics["validation_unknown"] == report.metrics["validation_unknown_before"] == 0.0
    assert report.metrics["test_changed"] == 0.0
    assert report.metrics["test_unknown"] == report.metrics["test_unknown_before"] == round(1 / 6, 6)
    # Special tokens, letters at the start of a word and inside one, and the words longer than a letter.
    words = {word for text in CORPUS for word in text.lower().replace(",", "").split()} & {*WORDS} - {"a"}
    assert report.metrics["pieces"] == len(SPECIAL) + 2 * len(LETTERS) + len(words)
    assert report.arguments == {"corpus": [], "minimum_count": 1, "size": 0, "keep": [], "rank": 0}


def test_words_of_the_corpus_files_and_of_the_recipe_stay(folders: dict[str, Path], tmp_path: Path) -> None:
    data = data_of(validation=examples(OTHER), corpus=examples(["very lovely"]))
    report = cut(folders["bert"], tmp_path, data, keep=("warm", "meal"))
    small = TextEncoder(tmp_path / "tokenizer.json", 32)
    assert all(small.token_id(word) is not None for word in ("very", "lovely", "warm", "meal"))
    assert small.token_id("awful") is None
    assert report.metrics["validation_changed"] == round(1 / 3, 6)


def test_rare_pieces_go_where_the_recipe_says_so(folders: dict[str, Path], tmp_path: Path) -> None:
    report = cut(folders["bert"], tmp_path / "two", minimum_count=2)
    small = TextEncoder(tmp_path / "two" / "tokenizer.json", 32)
    assert all(small.token_id(word) is not None for word in ("good", "film", "the", "dull", "and", "a"))
    assert all(small.token_id(word) is None for word in ("story", "was", "so", "cold", "poor"))
    assert report.metrics["corpus_changed"] == 0.5
    assert report.metrics["corpus_unknown"] < report.metrics["corpus_unknown_before"], "the same, of more pieces"
    report = cut(folders["bert"], tmp_path / "size", size=59)
    small = TextEncoder(tmp_path / "size" / "tokenizer.json", 32)
    assert report.metrics["pieces"] == 59
    assert [word for word in WORDS if small.token_id(word) is not None] == ["good", "the", "a"]
    with pytest.raises(SettingsError, match=r"vocabulary\.size is 56, but .* are 57 pieces; give at least that"):
        cut(folders["bert"], tmp_path / "small", size=56)


def test_a_piece_of_bytes_comes_with_its_parts_or_not_at_all() -> None:
    parts = {1: {1}, 2: {2}, 3: {1, 2, 3, 7}, 4: {4, 8}, 5: {5}}
    settings = VocabularySettings(size=5)
    assert choose({3: 9, 4: 8, 5: 7}, {1, 2}, parts.__getitem__, settings) == {1, 2, 3, 7, 5}
    assert choose({3: 9, 4: 8, 5: 7}, {1, 2}, parts.__getitem__, VocabularySettings(minimum_count=9)) == {1, 2, 3, 7}


def test_where_positions_count_from_padding_it_keeps_its_id(folders: dict[str, Path]) -> None:
    config = checkpoint.load_config(folders["roberta"])
    assert ordered({0, 1, 2, 3, 9, 300}, config) == [0, 1, 2, 3, 9, 300]
    config.pad_token_id = 3
    assert ordered({0, 3, 7, 8, 9}, config) == [0, 7, 8, 3, 9]
    config.pad_token_id = 9
    with pytest.raises(CheckpointError, match="padding has the id 9, from which positions are counted"):
        ordered({0, 3, 9}, config)
    with pytest.raises(CheckpointError, match=r"a piece with the id 9999, but config\.json tells a word table"):
        ordered({0, 9999}, config)


def test_the_same_cut_gives_the_same_bytes(folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        cut(folders["roberta"], tmp_path / name, rank=6, recover=TrainSettings())
    assert model_hash(tmp_path / "one") == model_hash(tmp_path / "two") != model_hash(folders["roberta"])


def test_a_text_that_is_cut_inside_a_word_keeps_the_pieces_before(tmp_path: Path) -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet()), "xy", "px", "qq"]
    tokenizer = transformers.RobertaTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[("x", "y"), ("p", "x"), ("q", "q")]
    )
    source = make_whole(tmp_path / "source", "roberta", tokenizer=tokenizer)
    # Of "pxy" the device reads "p" alone; were "xy" not counted, it would be dropped, and "px" read.
    data = data_of(train=examples(["px", "pxy"]))
    report = cut_vocabulary(source, data, VocabularySettings(), run_of(max_length=3), tmp_path / "small")
    assert report.metrics["corpus_changed"] == 0.0
    assert report.metrics["pieces"] == len(pieces) - 1
    small = TextEncoder(tmp_path / "small" / "tokenizer.json", 3)
    assert small.token(small.encode("pxy").ids[1]) == "p"


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
    family: str, task: str, says: str, settings: tuple[str, ...], folders: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(
        f'name = "r"\ntask = "{task}"\n[model]\nsource = "x"\n[data]\ntrain = "t.tsv"\nvalidation = "t.tsv"\n'
        "max_length = 32\n[distill]\nlayers = [0, 2]\n[vocabulary.recover]\nepochs = 1\n"
    )
    check_fit(folders[family], read_recipe(path))
    with pytest.raises(SettingsError, match=says):
        check_fit(folders[family], read_recipe(path, settings))


def test_a_tokenizer_that_cannot_be_cut_is_refused_before_anything_runs(
    folders: dict[str, Path], data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path(shutil.copytree(folders["bert"], tmp_path / "model"))
    document = json.loads((source / "tokenizer.json").read_text())
    vocabulary = document["model"]["vocab"]
    document["model"] = {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    (source / "tokenizer.json").write_text(json.dumps(document))
    config = json.loads((source / "tokenizer_config.json").read_text())
    (source / "tokenizer_config.json").write_text(json.dumps({**config, "tokenizer_class": "PreTrainedTokenizerFast"}))
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(PLAIN.replace("SOURCE", str(source)) + VOCABULARY)
    assert main(["export", str(recipe), "--data-dir", str(data_dir), "--out", str(tmp_path / "out")]) == 2
    assert "a WordLevel tokenizer cannot be cut, only WordPiece and byte-level BPE" in capsys.readouterr().err


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


@pytest.mark.parametrize("family", FAMILIES)
def test_a_bundle_of_fewer_words_answers_its_corpus_as_the_whole_one_does(family: str, tmp_path: Path) -> None:
    source = make_whole(tmp_path / "source", family, num_hidden_layers=1)
    (tmp_path / "text.txt").write_text("\n".join(CORPUS) + "\n")
    (tmp_path / "more.txt").write_text("so warm\n")
    for name, more in (("whole", ""), ("small", VOCABULARY)):
        (tmp_path / f"{name}.toml").write_text(PLAIN.replace("SOURCE", str(source)) + more)
        assert main(["export", str(tmp_path / f"{name}.toml"), "--out", str(tmp_path / name)]) == 0
    out = tmp_path / "small"
    manifest = read_manifest(out)
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
        "graph of recover-vocabulary, fast",
    ]
    manifest = read_manifest(out)
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
