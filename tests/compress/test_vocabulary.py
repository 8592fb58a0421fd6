"""Cut vocabularies: answers for the corpus stay equal bit for bit, and folders can be reloaded."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from family_checkpoints import FAMILIES, PIECES, SPECIAL, make_whole
from vocabulary_cuts import CORPUS, TASK, cut, data_of, examples, outputs

from edgebert.compress import arch, checkpoint
from edgebert.compress.batch import pad_batch
from edgebert.data.examples import Example
from edgebert.recipe import TrainSettings
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.table import task_names
from edgebert.workdir import model_hash


@pytest.mark.parametrize("family", FAMILIES)
def test_the_corpus_is_answered_bit_for_bit_as_before(
    family: str, whole_folders: dict[str, Path], tmp_path: Path
) -> None:
    report = cut(whole_folders[family], tmp_path)
    before, after = (outputs(folder, data_of(), examples(CORPUS)) for folder in (whole_folders[family], tmp_path))
    for (theirs,), (ours,) in zip(before, after, strict=True):
        assert np.array_equal(ours, theirs)
    assert report.metrics["corpus_changed"] == 0.0
    assert report.metrics["corpus_unknown"] == report.metrics["corpus_unknown_before"]
    assert report.metrics["pieces"] < report.metrics["pieces_before"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_folder_is_one_that_transformers_reads(family: str, whole_folders: dict[str, Path], tmp_path: Path) -> None:
    report = cut(whole_folders[family], tmp_path)
    checkpoint.check_folder(tmp_path)
    tokenizers = [transformers.AutoTokenizer.from_pretrained(folder) for folder in (whole_folders[family], tmp_path)]
    loader = transformers.AutoModelForSequenceClassification
    models = [loader.from_pretrained(folder).eval() for folder in (whole_folders[family], tmp_path)]
    whole, small = tokenizers
    assert len(small) == report.metrics["pieces"] == models[1].config.vocab_size
    words = arch.words(models[1])
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
    family: str, whole_folders: dict[str, Path], tmp_path: Path
) -> None:
    text = "naïve 🙂🙂 日本語 xylophone — ½"
    if family != "roberta":
        pieces = [*PIECES, "日", "本", "語", "🙂", "—", "½", "🙂🙂", "##日", "##🙂"]
        tokenizer = transformers.BertTokenizer(vocab={piece: number for number, piece in enumerate(pieces)})
        source = make_whole(tmp_path / "source", family, tokenizer=tokenizer)
    else:
        source = whole_folders["roberta"]
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
    if task in ("question-answering", "rerank", "similarity"):
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
    tied = models[1].get_output_embeddings().weight is arch.words(models[1]).weight
    assert tied == (models[0].get_output_embeddings().weight is arch.words(models[0]).weight)


def test_the_same_cut_gives_the_same_bytes(whole_folders: dict[str, Path], tmp_path: Path) -> None:
    for name in ("one", "two"):
        cut(whole_folders["roberta"], tmp_path / name, rank=6, recover=TrainSettings())
    assert model_hash(tmp_path / "one") == model_hash(tmp_path / "two") != model_hash(whole_folders["roberta"])
