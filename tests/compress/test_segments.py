"""Segments of pairs equal those of the checkpoint's tokenizer in transformers, or there are none if it has none."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from family_checkpoints import FAMILIES, PAIRED, make_whole
from tokenizers import Tokenizer, processors
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from edgebert.compress import checkpoint
from edgebert.compress.segments import in_one_segment
from edgebert.compress.tokenizer_file import segments_note
from edgebert.runtime.encode import TextEncoder

IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"
SILENT: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "entries",
    [
        {"model_input_names": [IDS, TYPES, MASK]},
        {"model_input_names": [IDS, MASK]},
        {"model_input_names": [IDS]},
        SILENT,
    ],
    ids=["with", "without", "ids", "unstated"],
)
def test_a_pair_is_answered_as_by_the_checkpoints_own_tokenizer(
    family: str, entries: dict[str, Any], tmp_path: Path
) -> None:
    folder = make_whole(tmp_path / "model", family, num_hidden_layers=1)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    model = checkpoint.load_model(folder, "text-classification", ["a", "b"]).eval()
    loaded = checkpoint.load_tokenizer(folder)
    checkpoint.save_model(model, loaded, tmp_path / "saved")
    checkpoint.load_tokenizer(tmp_path / "saved").backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    encoder = TextEncoder(tmp_path / "tokenizer.json", 32)
    for pair in PAIRED:
        ours = encoder.encode_pair(*pair)
        inputs = {IDS: [ours.ids], TYPES: [ours.type_ids], MASK: [[1] * len(ours.ids)]}
        with torch.no_grad():
            wanted = theirs(**tokenizer(*pair, return_tensors="pt")).logits
            found = model(**{name: torch.tensor(values) for name, values in inputs.items()}).logits
        assert (found - wanted).abs().max().item() <= 1e-5
    unstated = entries == SILENT and family in ("bert", "electra", "mobilebert", "albert")
    assert ("states no model_input_names" in segments_note(folder, loaded)) is unstated


@pytest.mark.parametrize(
    "processor",
    [
        None,
        processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0)),
        processors.ByteLevel(trim_offsets=False),
        processors.Sequence([processors.ByteLevel(), processors.BertProcessing(("[SEP]", 1), ("[CLS]", 0))]),
        processors.TemplateProcessing("[CLS]:1 $A:1", "$A:0 $B:1 [SEP]:1", [("[CLS]", 0), ("[SEP]", 1)]),
    ],
    ids=["none", "bert", "byte-level", "sequence", "template"],
)
def test_whatever_places_the_special_tokens_both_texts_are_in_one_segment(processor: Any) -> None:
    tokenizer = Tokenizer(WordLevel({"[CLS]": 0, "[SEP]": 1, "a": 2, "b": 3}, unk_token="a"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    if processor is not None:
        tokenizer.post_processor = processor
    changed = in_one_segment(tokenizer)
    for texts in (("a b",), ("a b", "b")):
        before, after = tokenizer.encode(*texts), changed.encode(*texts)
        assert after.ids == before.ids
        assert after.sequence_ids == before.sequence_ids
        assert set(after.type_ids) == {0}
