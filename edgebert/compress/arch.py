"""Read and replace the parts of a model, whatever its family calls them (`compress.families` holds the names)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from edgebert.compress.families import FAMILIES, LAYER_CLASSES, SHAPES_KEY, Family, family_named

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

SUPPORTED = tuple(FAMILIES)
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": functional.gelu,
    "none": nn.Identity(),
}
INPUTS = ("input_ids", "attention_mask")
SEGMENT_INPUT = "token_type_ids"


@dataclass(frozen=True)
class LayerShape:
    """Attention heads and feed-forward neurons that are left in one encoder layer."""

    heads: int
    ffn: int


@dataclass(frozen=True)
class LayerParts:
    """The parts of one encoder layer that compression reads or cuts."""

    attention: Any
    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    attention_output: nn.Linear
    attention_norm: nn.LayerNorm
    ffn_in: nn.Linear
    ffn_activation: Any
    ffn_out: nn.Linear
    ffn_norm: nn.LayerNorm


@dataclass(frozen=True)
class EmbeddingParts:
    """What turns token ids into the encoder's first rows.

    `types` is None if the family has no segments, and `projection` is None if the tables are as wide as the encoder.
    `padding_id` is set if the family counts positions only over tokens that are not padding, from this id plus 1.
    """

    words: nn.Module
    positions: nn.Embedding
    types: nn.Embedding | None
    norm: nn.LayerNorm
    projection: nn.Linear | None
    padding_id: int | None


@dataclass(frozen=True)
class HeadParts:
    """A head over the first row: a dense layer, its activation, and the layer that makes the outputs."""

    dense: nn.Module
    activation: Callable[[Tensor], Tensor]
    out: nn.Linear


def family_of(config: PreTrainedConfig) -> Family:
    """Family of a model's config.

    Raises:
        CheckpointError: It is not supported.
    """
    return family_named(config.model_type)


def first_position(config: PreTrainedConfig) -> int:
    """Row of the position table that a text's first token uses."""
    return int(config.pad_token_id) + 1 if family_of(config).skips_padding else 0


def longest_input(config: PreTrainedConfig) -> int:
    """Number of tokens in the longest input that a model has positions for."""
    return int(config.max_position_embeddings) - first_position(config)


def input_names(config: PreTrainedConfig) -> list[str]:
    """Inputs of a model: token ids, attention mask, and segments if the model tells two segments apart."""
    takes_segments = family_of(config).has_segments and config.type_vocab_size > 1
    return [*INPUTS, SEGMENT_INPUT] if takes_segments else list(INPUTS)


def ignore_segments(model: PreTrainedModel) -> None:
    """Let a model without segments accept `token_type_ids`, and ignore them."""
    if SEGMENT_INPUT not in input_names(model.config):
        model.register_forward_pre_hook(_without_segments, with_kwargs=True)


def blank_padding(model: PreTrainedModel) -> None:
    """Make the last token of a text independent of padding, for families whose embeddings mix in neighbours.

    If a text runs alone, such a model has zeros after its last token. Masked padding gets zeros as well. A padding
    token inside a text keeps its own row, as in transformers.
    """
    if family_of(model.config).reads_neighbours:
        model.base_model.register_forward_pre_hook(_without_padding, with_kwargs=True)


def encoder_layers(model: PreTrainedModel) -> list[nn.Module]:
    """Encoder layers of a task model, first to last; layers with the same weights are the same module."""
    family = family_of(model.config)
    held = list(attrgetter(family.layers)(model.base_model))
    if not family.in_group:
        return held
    count = model.config.num_hidden_layers
    # transformers counts in the same way.
    return [attrgetter(family.in_group)(held[int(at / (count / len(held)))]) for at in range(count)]


def keep_layers(model: PreTrainedModel, layers: Sequence[int]) -> None:
    """Drop every encoder layer but the given ones, counted from 0. If layers share weights, keep that many."""
    if family_of(model.config).in_group:
        model.config.num_hidden_layers = len(layers)
        return
    all_layers = encoder_layers(model)
    kept = [all_layers[index] for index in layers]
    _set(model.base_model, family_of(model.config).layers, nn.ModuleList(kept))
    for index, layer in enumerate(kept):
        attention = layer_parts(layer).attention
        if hasattr(attention, "layer_idx"):
            attention.layer_idx = index
    model.config.num_hidden_layers = len(kept)
    if (types := getattr(model.config, "layer_types", None)) is not None:
        model.config.layer_types = [types[index] for index in layers]
    note_shapes(model)


def embeddings(model: PreTrainedModel) -> Any:  # noqa: ANN401
    """Embedding block: word, position and (if present) segment tables, and their LayerNorm."""
    return model.base_model.embeddings


def words(model: PreTrainedModel) -> Any:  # noqa: ANN401
    """The word table."""
    return attrgetter(family_of(model.config).words)(model.base_model)


def set_words(model: PreTrainedModel, table: nn.Module) -> None:
    """Replace a model's word table."""
    _set(model.base_model, family_of(model.config).words, table)


def embedding_parts(model: PreTrainedModel) -> EmbeddingParts:
    """Return the parts of the embeddings, for a family with standard layers."""
    block = embeddings(model)
    return EmbeddingParts(
        words=block.word_embeddings,
        positions=block.position_embeddings,
        types=getattr(block, "token_type_embeddings", None),
        norm=block.LayerNorm,
        projection=getattr(model.base_model, "embeddings_project", None),
        padding_id=first_position(model.config) - 1 if family_of(model.config).skips_padding else None,
    )


def pooler(model: PreTrainedModel) -> nn.Linear | None:
    """Dense layer over the [CLS] row inside the base model; None if the model has none."""
    block = pooler_of(model)
    return block if isinstance(block, nn.Linear) else getattr(block, "dense", None)


def pooler_of(model: PreTrainedModel) -> nn.Module | None:
    """The block over the [CLS] row inside the base model, or None."""
    return getattr(model.base_model, "pooler", None)


def classifier(model: PreTrainedModel) -> Any:  # noqa: ANN401
    """Classification head: a linear layer, or the block that RoBERTa and ELECTRA put over the first row."""
    return model.classifier


def sequence_head(model: PreTrainedModel) -> HeadParts:
    """Parts of the head for sequence classification: from the first row to the logits."""
    paths = family_of(model.config).sequence_head
    out = attrgetter(paths.out)(model)
    # MobileBERT's pooler may just return the row; other families do not have this entry.
    if not getattr(pooler_of(model), "do_activate", True):
        return HeadParts(nn.Identity(), nn.Identity(), out)
    activation = (
        ACT2FN[model.config.pooler_hidden_act] if paths.activation == "config" else ACTIVATIONS[paths.activation]
    )
    return HeadParts(attrgetter(paths.dense)(model), activation, out)


def head_row(model: PreTrainedModel, rows: Tensor, attention_mask: Tensor) -> Tensor:
    """What the sequence classification head reads: the first row, or the mean if a ModernBERT's config says so.

    *Shape*: (batch, length, width) to (batch, width).
    """
    if getattr(model.config, "classifier_pooling", "cls") != "mean":
        return rows[:, 0]
    weights = attention_mask.to(rows.dtype)
    return (rows * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)


def masked_lm_head(model: PreTrainedModel) -> nn.Module:
    """Head for masked language modelling. *Shape*: (batch, rows, width) to (batch, rows, vocabulary)."""
    modules = [attrgetter(path)(model) for path in family_of(model.config).masked_lm_head]
    head: nn.Module = modules[0] if len(modules) == 1 else nn.Sequential(*modules)
    return head


def layer_parts(layer: nn.Module) -> LayerParts:
    """Return the parts of one encoder layer."""
    return LayerParts(**{name: attrgetter(path)(layer) for name, path in _paths(layer).items()})


def projection(layer: nn.Module, name: Literal["query", "key", "value"], output: Tensor) -> Tensor:
    """Select the query, key or value from a projection's output, which may hold all three."""
    at, joined = {"query": 0, "key": 1, "value": 2}[name], _family_of_layer(layer).joined
    if joined == "by head":
        attention = layer_parts(layer).attention
        heads = output.reshape(*output.shape[:-1], attention.num_attention_heads, -1)
        part = heads.chunk(3, dim=-1)[at].flatten(-2)
        biases: dict[str, Tensor] = {"query": attention.q_bias, "value": attention.v_bias}
        return part + biases[name] if name in biases else part
    return output.chunk(3, dim=-1)[at] if joined == "whole" else output


def set_parts(layer: nn.Module, **parts: nn.Module) -> None:
    """Replace parts of one encoder layer, named as in `LayerParts`."""
    paths = _paths(layer)
    for name, module in parts.items():
        _set(layer, paths[name], module)


def layer_shapes(model: PreTrainedModel) -> list[LayerShape]:
    """Heads and feed-forward width of every layer of a model; from the config if its layers cannot be cut."""
    if not family_of(model.config).standard_layers:
        return [_uniform(model.config)] * len(encoder_layers(model))
    shapes = []
    for parts in map(layer_parts, encoder_layers(model)):
        heads = parts.query.out_features // parts.attention.attention_head_size
        shapes.append(LayerShape(heads, parts.ffn_in.out_features))
    return shapes


def resize_layers(model: PreTrainedModel, shapes: Iterable[LayerShape]) -> None:
    """Give every layer uninitialised matrices of a pruned shape, and write the shapes into the config."""
    for layer, shape in zip(encoder_layers(model), list(shapes), strict=True):
        parts = layer_parts(layer)
        width = shape.heads * parts.attention.attention_head_size
        hidden = parts.query.in_features
        set_parts(
            layer,
            query=nn.Linear(hidden, width),
            key=nn.Linear(hidden, width),
            value=nn.Linear(hidden, width),
            attention_output=nn.Linear(width, hidden),
            ffn_in=nn.Linear(hidden, shape.ffn),
            ffn_out=nn.Linear(shape.ffn, hidden),
        )
    note_shapes(model)


def note_shapes(model: PreTrainedModel) -> None:
    """Write each layer's shape into the attributes and the config, so that the saved folder reloads."""
    if not family_of(model.config).standard_layers:
        return
    config, shapes = model.config, layer_shapes(model)
    for layer, shape in zip(encoder_layers(model), shapes, strict=True):
        parts = layer_parts(layer)
        attention = parts.attention
        facts = {"num_attention_heads": shape.heads, "n_heads": shape.heads, "all_head_size": parts.query.out_features}
        for name in filter(lambda name: hasattr(attention, name), facts):
            setattr(attention, name, facts[name])
    if any(shape != _uniform(config) for shape in shapes):
        setattr(config, SHAPES_KEY, [[shape.heads, shape.ffn] for shape in shapes])
    elif hasattr(config, SHAPES_KEY):
        delattr(config, SHAPES_KEY)


def noted_shapes(config: PreTrainedConfig) -> list[LayerShape] | None:
    """Layer shapes in a pruned model's config; None for a model that was not pruned."""
    noted = getattr(config, SHAPES_KEY, None)
    return None if noted is None else [LayerShape(heads, ffn) for heads, ffn in noted]


def _uniform(config: PreTrainedConfig) -> LayerShape:
    return LayerShape(config.num_attention_heads, getattr(config, family_of(config).ffn_size))


def _paths(layer: nn.Module) -> dict[str, str]:
    return vars(_family_of_layer(layer).layer)


def _family_of_layer(layer: nn.Module) -> Family:
    return LAYER_CLASSES[type(layer).__name__]


def _set(root: nn.Module, path: str, module: nn.Module) -> None:
    owner, _, name = path.rpartition(".")
    setattr(attrgetter(owner)(root) if owner else root, name, module)


def _without_padding(
    model: PreTrainedModel, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Replace ids in a base model's arguments by rows of the word table, with zeros for padding."""
    given = dict(zip(INPUTS, args, strict=False)) | kwargs
    ids, mask = given.get("input_ids"), given.get("attention_mask")
    if ids is None or mask is None:
        return args, kwargs
    rows = model.embeddings.word_embeddings(ids)
    # Use the id that fills the batch: the tokenizer's padding id may differ from the config's.
    rows = rows * mask.ne(0).unsqueeze(-1).to(rows.dtype)
    if args:
        return (None, *args[1:]), {**kwargs, "inputs_embeds": rows}
    return args, {**kwargs, "input_ids": None, "inputs_embeds": rows}


def _without_segments(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {name: value for name, value in kwargs.items() if name != SEGMENT_INPUT}
