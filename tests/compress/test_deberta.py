"""DeBERTa: entries of its config have the effect that they have in transformers, or are refused by name."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from family_checkpoints import make_family, make_tokenizer
from family_models import IDS, MASK, change_config, load, save

from edgebert.compress import arch, checkpoint
from edgebert.compress.student import make_student
from edgebert.compress.tokenizer_file import check_segments
from edgebert.errors import CheckpointError

# As DeBERTa v2 states it.
V2 = {"conv_kernel_size": 3, "conv_act": "gelu", "position_biased_input": True, "type_vocab_size": 2}
FOLLOWED: list[dict[str, Any]] = [
    V2,
    {"conv_kernel_size": 5, "conv_groups": 4},
    {"position_biased_input": True},
    {"share_att_key": False},
    {"share_att_key": False, "pos_att_type": ["c2p"]},
    {"share_att_key": False, "pos_att_type": "p2c"},
    {"norm_rel_ebd": "none"},
    {"position_buckets": -1},
    {"max_relative_positions": 16},
    {"relative_attention": False},
    {"pooler_hidden_act": "tanh"},
    {"embedding_size": 16},
    {"type_vocab_size": 2},
]


# As the first DeBERTa states it.
FOLLOWED_V1: list[dict[str, Any]] = [
    {"pos_att_type": "c2p"},
    {"pos_att_type": ["p2c"]},
    {"position_biased_input": True},
    {"max_relative_positions": 7},
    {"talking_head": True},
    {"relative_attention": False},
    {"pooler_hidden_act": "tanh"},
    {"type_vocab_size": 2},
]
EVERY = [*(("deberta-v2", entries) for entries in FOLLOWED), *(("deberta", entries) for entries in FOLLOWED_V1)]


def answers(model: Any, **more: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=MASK, **more).logits
    return found


@pytest.mark.parametrize(("family", "entries"), EVERY)
def test_entries_that_change_the_forward_pass_are_followed(
    family: str, entries: dict[str, Any], folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = make_family(tmp_path / "model", family, **entries)
    checkpoint.check_folder(folder)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ours = load(folder)
    types = {"token_type_ids": (IDS > 20).long()} if "type_vocab_size" in entries else {}
    assert (answers(ours, **types) - answers(theirs, **types)).abs().max().item() <= 1e-6
    assert (answers(ours) - answers(load(folders[family]))).abs().max().item() > 1e-4
    student = make_student(ours, (0, 2)).eval()
    assert torch.equal(answers(load(save(student, folder, tmp_path / "student"))), answers(student))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"relative_attention": 1}, "relative_attention is 1; expected true or false"),
    ({"pos_att_type": "c2p|p2p"}, r"pos_att_type is .*; expected 'c2p', 'p2c' or both"),
    ({"norm_rel_ebd": "batch_norm"}, "norm_rel_ebd is 'batch_norm'; expected 'none' or 'layer_norm'"),
    ({"position_buckets": 2.5}, "position_buckets is 2.5; expected a whole number"),
    ({"conv_kernel_size": 4}, "conv_kernel_size is 4; expected an odd number, or 0"),
    ({"conv_kernel_size": 3, "conv_groups": 5}, "conv_groups is 5; expected a divisor of hidden_size, which is 32"),
    ({"conv_act": "gleu"}, "conv_act is 'gleu'; expected an activation"),
    ({"pooler_hidden_size": 16}, "pooler_hidden_size is 16; expected hidden_size, which is 32"),
    ({"pooler_hidden_act": None}, "pooler_hidden_act is None; expected an activation"),
]


@pytest.mark.parametrize(("entries", "says"), REFUSED)
def test_entries_that_no_model_can_have_are_refused(
    entries: dict[str, Any], says: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["deberta-v2"], tmp_path / "model"))
    change_config(folder, **entries)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)


LEFT_OUT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("deberta-v2", {}, {"relative_attention": False}),
    ("deberta-v2", {"conv_kernel_size": 3}, {"conv_kernel_size": 0}),
    ("deberta-v2", {}, {"norm_rel_ebd": "none"}),
    ("deberta-v2", {"share_att_key": False}, {"share_att_key": True}),
    ("deberta-v2", {"share_att_key": False}, {"pos_att_type": ["c2p"]}),
    ("deberta", {}, {"pos_att_type": ["p2c"]}),
    ("deberta", {"talking_head": True}, {"talking_head": False}),
]


@pytest.mark.parametrize(("family", "made", "stated"), LEFT_OUT)
def test_parts_that_the_config_leaves_out_are_refused(
    family: str, made: dict[str, Any], stated: dict[str, Any], tmp_path: Path
) -> None:
    folder = make_family(tmp_path, family, num_hidden_layers=1, **made)
    checkpoint.check_folder(folder)
    change_config(folder, **stated)
    (entry,) = stated
    with pytest.raises(
        CheckpointError, match=rf"the weights have deberta\..*, which the model does not have according to .*{entry}"
    ):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("entry", ["position_buckets", "share_att_key", "conv_kernel_size"])
def test_entries_of_v2_are_refused_in_v1(entry: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["deberta"], tmp_path / "model"))
    change_config(folder, **{entry: True if entry == "share_att_key" else 3})
    with pytest.raises(CheckpointError, match=f"{entry} is .*which transformers only computes for deberta-v2"):
        checkpoint.check_folder(folder)


def test_projections_of_v1_are_taken_apart_by_head(folders: dict[str, Path]) -> None:
    layer = arch.encoder_layers(load(folders["deberta"]))[0]
    attention, rows = arch.layer_parts(layer).attention, torch.randn(2, 5, 32)
    joined = attention.in_proj(rows)
    theirs = attention.transpose_for_scores(joined).chunk(3, dim=-1)
    biases = {"query": attention.q_bias, "key": 0.0, "value": attention.v_bias}
    for name, part in zip(("query", "key", "value"), theirs, strict=True):
        expected = part.transpose(1, 2).flatten(2) + biases[name]
        assert torch.allclose(arch.projection(layer, name, joined), expected, atol=1e-6)  # type: ignore[arg-type]


def test_a_table_of_other_distances_than_the_config_s_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["deberta-v2"], tmp_path / "model"))
    change_config(folder, position_buckets=32)
    with pytest.raises(
        CheckpointError, match=r"the weights have no deberta\.encoder\.rel_embeddings\.weight of the shape"
    ):
        load(folder)


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_segments_count_if_there_are_rows_for_them(rows: int, tmp_path: Path) -> None:
    folder = make_family(tmp_path / "model", "deberta-v2", type_vocab_size=rows)
    tokenizer, config = checkpoint.load_tokenizer(folder), checkpoint.load_config(folder)
    if rows == 1:
        with pytest.raises(CheckpointError, match="type_vocab_size is 1, but the tokenizer puts a pair into segment 1"):
            check_segments(folder, tokenizer, config, 2)
    else:
        check_segments(folder, tokenizer, config, 2)
    changed = not torch.equal(answers(load(folder), token_type_ids=(IDS > 20).long()), answers(load(folder)))
    assert changed == (rows == 2)


def test_a_pair_is_not_encoded_from_a_vocabulary_alone(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["deberta"], tmp_path / "model"))
    config, tokenizer = checkpoint.load_config(folder), checkpoint.load_tokenizer(folder)
    check_segments(folder, tokenizer, config, 2)
    (folder / "tokenizer.json").unlink()
    check_segments(folder, tokenizer, config, 1)
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json, .* two separators .*; save the tokenizer with"):
        check_segments(folder, tokenizer, config, 2)


def test_a_head_for_masked_words_in_the_newer_form_is_found_by_its_entry(tmp_path: Path) -> None:
    folder = make_family(tmp_path, "deberta-v2", "MaskedLM", legacy=False, tokenizer=make_tokenizer("deberta-v2"))
    assert checkpoint.has_head(folder, "fill-mask", [])
    theirs = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    ours = checkpoint.load_model(folder, "fill-mask", []).eval()
    assert (answers(ours) - answers(theirs)).abs().max().item() <= 1e-6
    change_config(folder, drop=("legacy",))
    lack = checkpoint.lack_of_head(folder, "fill-mask", [])
    assert lack.startswith("the weights lack cls.predictions.")
    assert lack.endswith(', but have lm_predictions: set "legacy": false in config.json for fill-mask')
