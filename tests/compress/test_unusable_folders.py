"""Models that transformers cannot run or would guess at are refused with file, entry and remedy, exit code 2."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from family_checkpoints import FAMILIES, make_whole
from family_models import change_config
from safetensors.torch import load_file, save_file

from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.compress.tokenizer_file import check_segments
from edgebert.errors import CheckpointError

PAIRS = """
name = "pairs"
task = "text-classification"
[model]
source = "CHECKPOINT"
[data]
unlabelled = ["pairs.tsv"]
text = "a"
text_pair = "b"
max_length = 32
[quantize]
format = "none"
[export]
stages = false
parity_samples = 3
"""
BOTTLENECK: dict[str, Any] = {"key_query_shared_bottleneck": False}


@pytest.fixture
def copy_of(folders: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    return lambda family: Path(shutil.copytree(folders[family], tmp_path / "model"))


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        checkpoint.check_folder(folder)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    path = folder / "model.safetensors"
    save_file(change(load_file(path)), path, metadata={"format": "pt"})


def test_roberta_needs_the_padding_id_that_its_positions_count_from(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("roberta")
    change_config(folder, pad_token_id=None)
    assert "pad_token_id is null, and roberta counts its positions from it; set it to the id" in refused(folder)


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        (BOTTLENECK, "key_query_shared_bottleneck is false"),
        ({"normalization_type": "rms"}, "normalization_type is 'rms'; expected 'no_norm' or 'layer_norm'"),
        ({"use_bottleneck": "false"}, "use_bottleneck is 'false'; expected true or false"),
        ({"trigram_input": None}, "trigram_input is None; expected true or false"),
    ],
)
def test_layers_of_mobilebert_that_nothing_can_run_are_named(
    entries: dict[str, Any], says: str, copy_of: Callable[[str], Path]
) -> None:
    folder = copy_of("mobilebert")
    change_config(folder, **entries)
    assert refused(folder).startswith(f"{folder / 'config.json'}: {says}")


@pytest.mark.parametrize(
    "entries",
    [
        BOTTLENECK | {"intra_bottleneck_size": 32},
        BOTTLENECK | {"use_bottleneck_attention": True},
        BOTTLENECK | {"use_bottleneck": False},
        {"trigram_input": False},
        {"num_feedforward_networks": 1},
        {"normalization_type": "layer_norm"},
        {"classifier_activation": False},
    ],
    ids=lambda entries: "-".join(entries),
)
def test_unusual_layers_of_mobilebert_answer_as_in_transformers(entries: dict[str, Any], tmp_path: Path) -> None:
    import transformers

    folder = make_whole(tmp_path, "mobilebert", num_hidden_layers=1, **entries)
    checkpoint.check_folder(folder)
    ours = checkpoint.load_model(folder, "text-classification", ["a", "b"]).eval()
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    given = transformers.AutoTokenizer.from_pretrained(folder)("a good film", return_tensors="pt")
    with torch.no_grad():
        assert (ours(**given).logits - theirs(**given).logits).abs().max().item() <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_weight_that_is_no_number_is_named_with_its_file(
    family: str, value: float, copy_of: Callable[[str], Path]
) -> None:
    folder = copy_of(family)
    name = sorted(load_file(folder / "model.safetensors"))[-1]

    def spoil(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        weights[name].view(-1)[-1] = value
        return weights

    change_weights(folder, spoil)
    assert refused(folder).startswith(f"{folder / 'model.safetensors'}: {name} holds NaN or infinity; the training")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("model.", "a Lightning module); save the model inside it, with model.model.save_pretrained(folder)"),
        ("model.model.", "a Lightning module); save the model inside it"),
        ("net.", "save the transformers model inside the wrapper with save_pretrained(folder)"),
    ],
)
def test_names_of_a_wrapper_are_refused(family: str, prefix: str, says: str, copy_of: Callable[[str], Path]) -> None:
    folder = copy_of(family)
    change_weights(folder, lambda weights: {prefix + name: weight for name, weight in weights.items()})
    assert says in refused(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_without_its_family_s_prefix_passes(family: str, tmp_path: Path) -> None:
    checkpoint.check_folder(make_whole(tmp_path, family, "", num_hidden_layers=1))


@pytest.mark.parametrize("family", ["bert", "electra", "mobilebert"])
def test_a_pair_needs_a_row_for_its_second_segment(family: str, tmp_path: Path) -> None:
    folder = make_whole(tmp_path, family, num_hidden_layers=1, type_vocab_size=1)
    config, tokenizer = checkpoint.load_config(folder), checkpoint.load_tokenizer(folder)
    check_segments(folder, tokenizer, config, 1)
    with pytest.raises(CheckpointError, match=r"type_vocab_size is 1, but the tokenizer puts a pair into segment 1"):
        check_segments(folder, tokenizer, config, 2)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_input_names": ["input_ids", "attention_mask"]}))
    check_segments(folder, checkpoint.load_tokenizer(folder), config, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "entries", "code", "says"),
    [
        (1, {}, 2, "type_vocab_size is 1, but the tokenizer puts a pair into segment 1"),
        (2, {"tokenizer_class": "PreTrainedTokenizerFast"}, 0, "tokenizer_config.json states no model_input_names"),
    ],
    ids=["refused", "said"],
)
def test_an_export_of_pairs_checks_their_segments(
    rows: int, entries: dict[str, str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_whole(tmp_path / "model", "bert", num_hidden_layers=1, num_labels=2, type_vocab_size=rows)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    (tmp_path / "pairs.tsv").write_text("a\tb\n" + "a good film\ta bad film\n" * 3)
    (tmp_path / "r.toml").write_text(PAIRS.replace("CHECKPOINT", str(folder)))
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == code
    assert capsys.readouterr().err.count(says) == 1


@pytest.mark.parametrize("family", ["roberta", "distilbert"])
def test_a_family_without_segments_takes_pairs(family: str, whole_folders: dict[str, Path]) -> None:
    folder = whole_folders[family]
    check_segments(folder, checkpoint.load_tokenizer(folder), checkpoint.load_config(folder), 2)


def test_segments_of_a_roberta_are_not_dropped_in_silence(tmp_path: Path) -> None:
    folder = make_whole(tmp_path, "roberta", num_hidden_layers=1, type_vocab_size=2)
    config, tokenizer = checkpoint.load_config(folder), checkpoint.load_tokenizer(folder)
    check_segments(folder, tokenizer, config, 2)
    tokenizer.backend_tokenizer.post_processor = _with_segments()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    with pytest.raises(CheckpointError, match="the tokenizer gives segments, which a bundle of roberta does not have"):
        check_segments(folder, tokenizer, config, 2)


def _with_segments() -> Any:
    from tokenizers.processors import TemplateProcessing

    return TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
