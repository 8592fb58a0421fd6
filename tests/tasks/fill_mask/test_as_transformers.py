"""Tokens at a mask equal those of transformers' pipeline, with their scores, except special tokens."""

from pathlib import Path
from typing import Any

import pytest
import transformers
from family_checkpoints import make_whole

import edgebert
from edgebert.cli import main

RECIPE = """
name = "words"
task = "fill-mask"
[model]
source = "model"
[head]
top_k = 6
[data]
unlabelled = ["texts.txt"]
max_length = 32
[quantize]
format = "none"
[export]
stages = false
parity_samples = 2
"""
TEXTS = ["a MASK film", "MASK was so bad, and the MASK was cold"]


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_special_tokens_alone_are_left_out_of_the_list(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make_whole(Path("model"), family, "MaskedLM", num_hidden_layers=1)
    Path("texts.txt").write_text("a good film\nthe story was bad\n")
    Path("r.toml").write_text(RECIPE)
    assert main(["export", "r.toml", "--out", "bundle"]) == 0
    theirs: Any = transformers.pipeline("fill-mask", model=str(folder), device="cpu", top_k=50)
    special, mask = theirs.tokenizer.all_special_ids, theirs.tokenizer.mask_token
    model = edgebert.load("bundle")
    seen = 0
    for text in TEXTS:
        text = text.replace("MASK", mask)
        found = theirs(text)
        for ours, expected in zip(model(text).masks, found if isinstance(found[0], list) else [found], strict=True):
            kept = [one for one in expected if one["token"] not in special][:6]
            seen += any(one["token"] in special for one in expected)
            assert [one.id for one in ours] == [one["token"] for one in kept]
            assert [one.score for one in ours] == pytest.approx([one["score"] for one in kept], abs=1e-5)
    assert seen
