"""The locations of each family's parts: reads return the weights that compute, and writes replace them."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from family_checkpoints import FAMILIES, STANDARD, make_config, make_family
from torch import nn

from edgebert.compress import arch
from edgebert.compress.families import family_named
from edgebert.errors import CheckpointError

IDS = torch.randint(5, 40, (4, 12), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1, 7:] = 0
PARTS = ("query", "key", "value", "attention_output", "attention_norm", "ffn_in", "ffn_out", "ffn_norm")


def model_of(folder: Path, family: str, head: str = "SequenceClassification") -> Any:
    make_family(folder, family, head)
    model_class = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    return model_class.from_pretrained(folder, attn_implementation="eager").eval()


def rows_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        rows: torch.Tensor = model.base_model(input_ids=IDS, attention_mask=MASK).last_hidden_state
    return rows


@pytest.mark.parametrize("family", STANDARD)
def test_a_layer_is_its_named_parts(family: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, family, "")
    layer = arch.encoder_layers(model)[1]
    parts = arch.layer_parts(layer)
    seen: dict[str, torch.Tensor] = {}
    layer.register_forward_hook(lambda module, inputs, output: seen.update(given=inputs[0], found=output))
    rows_of(model)

    def heads(states: torch.Tensor) -> torch.Tensor:
        return states.view(4, 12, 4, 8).transpose(1, 2)

    with torch.no_grad():
        query, key, value = (heads(linear(seen["given"])) for linear in (parts.query, parts.key, parts.value))
        scores = query @ key.transpose(2, 3) / 8**0.5
        weights = scores.masked_fill(MASK[:, None, None, :] == 0, float("-inf")).softmax(-1)
        context = (weights @ value).transpose(1, 2).flatten(2)
        middle = parts.attention_norm(parts.attention_output(context) + seen["given"])
        expected = parts.ffn_norm(parts.ffn_out(parts.ffn_activation(parts.ffn_in(middle))) + middle)
    assert (seen["found"] - expected).abs().max().item() <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_part_that_is_replaced_computes(family: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, family, "")
    for name in PARTS:
        before = rows_of(model)
        layer = arch.encoder_layers(model)[2]
        old = getattr(arch.layer_parts(layer), name)

        class Other(nn.Module):
            def __init__(self, old: nn.Module = old) -> None:
                super().__init__()
                self.old = old

            def forward(self, given: torch.Tensor) -> torch.Tensor:
                scale = torch.linspace(0.2, 1.8, given.shape[-1])
                scaled: torch.Tensor = self.old(given * scale)
                return scaled

        new = Other()
        arch.set_parts(layer, **{name: new})
        assert getattr(arch.layer_parts(layer), name) is new
        assert not torch.allclose(rows_of(model), before, atol=1e-6), f"{name} is not computed with"
        arch.set_parts(layer, **{name: old})
        assert torch.equal(rows_of(model), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_that_are_kept_are_those_named(family: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, family)
    first, _, last = arch.encoder_layers(model)
    arch.keep_layers(model, (0, 2))
    assert arch.encoder_layers(model) == [first, last]
    assert model.config.num_hidden_layers == 2
    with torch.no_grad():
        states = model(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    assert len(states) == 3
    assert torch.equal(states[-1], rows_of(model))


@pytest.mark.parametrize(
    ("family", "config"), [*((family, {}) for family in FAMILIES), ("mobilebert", {"classifier_activation": False})]
)
def test_the_sequence_head_gives_the_model_s_logits(family: str, config: dict[str, Any], tmp_path: Path) -> None:
    make_family(tmp_path, family, **config)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    parts = arch.sequence_head(model)
    with torch.no_grad():
        expected = model(input_ids=IDS, attention_mask=MASK).logits
        found = parts.out(parts.activation(parts.dense(rows_of(model)[:, 0])))
    assert (found - expected).abs().max().item() <= 1e-6


@pytest.mark.parametrize("family", FAMILIES)
def test_the_masked_lm_head_gives_the_model_s_logits(family: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, family, "MaskedLM")
    head = arch.masked_lm_head(model)
    with torch.no_grad():
        expected = model(input_ids=IDS, attention_mask=MASK).logits
        found = head(rows_of(model))
    assert expected.shape == (4, 12, model.config.vocab_size)
    assert (found - expected).abs().max().item() <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_without_a_pooler_says_so(family: str, tmp_path: Path) -> None:
    assert arch.pooler(model_of(tmp_path, family, "TokenClassification")) is None


def test_bert_s_pooler_and_classifier_keep_their_names(tmp_path: Path) -> None:
    model = model_of(tmp_path, "bert")
    assert arch.pooler(model) is model.bert.pooler.dense
    assert arch.classifier(model) is model.classifier
    assert arch.embeddings(model) is model.bert.embeddings


@pytest.mark.parametrize("family", FAMILIES)
def test_shapes_are_those_of_the_config(family: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, family)
    assert arch.layer_shapes(model) == [arch.LayerShape(4, 64)] * 3
    arch.note_shapes(model)
    assert arch.noted_shapes(model.config) is None


@pytest.mark.parametrize("family", STANDARD)
def test_uneven_shapes_are_noted_and_forgotten_when_even_again(family: str, tmp_path: Path) -> None:
    model = model_of(tmp_path, family)
    uneven = [arch.LayerShape(4, 64), arch.LayerShape(1, 8), arch.LayerShape(4, 64)]
    arch.resize_layers(model, uneven)
    assert arch.layer_shapes(model) == arch.noted_shapes(model.config) == uneven
    arch.keep_layers(model, (0, 2))
    assert arch.noted_shapes(model.config) is None


@pytest.mark.parametrize(
    ("family", "longest", "segments"),
    [
        ("bert", 64, True),
        ("distilbert", 64, False),
        ("electra", 64, True),
        ("roberta", 64, False),
        ("xlm-roberta", 64, False),
        ("camembert", 64, False),
        ("mpnet", 64, False),
        ("mobilebert", 64, True),
    ],
)
def test_what_a_model_takes(family: str, longest: int, segments: bool) -> None:
    config = make_config(family, 100)
    assert arch.longest_input(config) == longest
    assert arch.input_names(config) == ["input_ids", "attention_mask"] + ["token_type_ids"] * segments


def test_a_roberta_of_514_positions_takes_512_tokens() -> None:
    assert arch.longest_input(transformers.RobertaConfig(max_position_embeddings=514)) == 512


def test_a_bert_of_one_segment_is_not_given_segments() -> None:
    assert arch.input_names(make_config("bert", 100, type_vocab_size=1)) == ["input_ids", "attention_mask"]


@pytest.mark.parametrize("model_type", ["gpt2", "xlm-roberta-xl", "longformer", None])
def test_a_family_that_is_not_supported_is_refused_with_those_that_are(model_type: str | None) -> None:
    with pytest.raises(
        CheckpointError, match=f"{model_type!r} is not supported; supported: {', '.join(arch.SUPPORTED)}"
    ):
        family_named(model_type)
    assert set(arch.SUPPORTED) == set(FAMILIES)
