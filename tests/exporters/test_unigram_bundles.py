"""Complete exports of checkpoints with Unigram tokenizers, without a recipe and with all stages."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from family_checkpoints import make_whole
from recipes import splits, whole_chain
from unigram_tokenizers import write

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.runtime.sessions.core import unusable

TEXTS = ["the ﬁlm was  good", "été\tnaïve 日本 film 🙂", "so bad , a story ☃"]
CHAIN = whole_chain(
    "chain",
    "text-classification",
    splits("tsv", max_length=32),
    finetune={"epochs": 1.0, "batch_size": 32},
    distill={"epochs": 1.0, "batch_size": 32},
    prune={"samples": 32, "recover": {"epochs": 1.0, "batch_size": 32}},
    vocabulary={"minimum_count": 1},
    quantize={"max_drop": 0.05},
    export={"formats": ["onnx", "core"], "stages": False},
)


def folder_of(root: Path, family: str, head: str, **more: Any) -> Path:
    written = write(root / "tokenizer", family)
    general = transformers.PreTrainedTokenizerFast(tokenizer_object=written, pad_token="<pad>")
    folder = make_whole(root / "model", family, head, tokenizer=general, pad_token_id=1, **more)
    for path in (root / "tokenizer").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


@pytest.mark.slow
def test_a_tagger_is_exported_without_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tags = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
    names = {"id2label": dict(enumerate(tags))}
    folder = folder_of(tmp_path, "xlm-roberta", "TokenClassification", num_hidden_layers=1, **names)
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(folder), "--precision", "fp32", "--out", "bundle"]) == 0
    model = edgebert.load("bundle")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    reference = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    for text, (found,) in zip(TEXTS, model.raw(TEXTS), strict=True):
        with torch.no_grad():
            expected = reference(**theirs(text, return_tensors="pt")).logits[0].numpy()
        assert np.abs(found[: len(expected)] - expected).max() <= 1e-5
    for text, answer in zip(TEXTS, model(TEXTS), strict=True):
        assert all(text[each.start : each.end] == each.text == each.text.strip() for each in answer.entities)


@pytest.mark.slow
def test_a_camembert_goes_down_the_whole_chain(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder_of(tmp_path, "camembert", "")
    monkeypatch.chdir(tmp_path)
    Path("chain.toml").write_text(CHAIN.replace("CHECKPOINT", str(source)))
    assert main(["export", "chain.toml", "--data-dir", str(data_dir), "--out", "bundle"]) == 0
    manifest = read_document(Path("bundle"))
    stages = {stage["stage"]: stage for stage in manifest["stages"]}
    assert [*stages] == ["finetune", "distill", "prune", "recover", "vocabulary", "quantize"]
    assert stages["vocabulary"]["metrics"]["corpus_changed"] == 0.0
    assert stages["vocabulary"]["metrics"]["pieces"] < stages["vocabulary"]["metrics"]["pieces_before"]
    assert len(manifest["layers"]) == 2
    answers = [
        edgebert.load("bundle", runtime=runtime)(TEXTS)
        for runtime in ("onnxruntime", *(() if unusable() else ("core",)))
    ]
    for one, other in zip(answers[0], answers[-1], strict=True):
        assert other.scores == pytest.approx(one.scores, abs=0.05)
