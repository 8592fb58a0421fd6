"""Where BERT keeps its parts: the one place that knows Hugging Face's module and parameter names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

SUPPORTED = ("bert",)
SHAPES_KEY = "edgebert_layer_shapes"


@dataclass(frozen=True)
class LayerShape:
    """Attention heads and feed-forward neurons that one encoder layer has left."""

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
    ffn_out_owner: Any
    ffn_in_owner: Any
    attention_output_owner: Any


def encoder_layers(model: nn.Module) -> list[nn.Module]:
    """Encoder layers of a task model, first to last."""
    return list(_bert(model).encoder.layer)


def embeddings(model: nn.Module) -> Any:  # noqa: ANN401
    """Embedding block: word, position and segment tables and their LayerNorm."""
    return _bert(model).embeddings


def pooler(model: nn.Module) -> nn.Linear:
    """Dense layer over the [CLS] row, in front of the head."""
    dense: nn.Linear = _bert(model).pooler.dense
    return dense


def classifier(model: nn.Module) -> nn.Linear:
    """Classification head."""
    head: nn.Linear = model.classifier  # type: ignore[assignment]
    return head


def layer_parts(layer: Any) -> LayerParts:  # noqa: ANN401
    """Name the parts of one encoder layer."""
    attention = layer.attention.self
    return LayerParts(
        attention=attention,
        query=attention.query,
        key=attention.key,
        value=attention.value,
        attention_output=layer.attention.output.dense,
        attention_norm=layer.attention.output.LayerNorm,
        ffn_in=layer.intermediate.dense,
        ffn_activation=layer.intermediate.intermediate_act_fn,
        ffn_out=layer.output.dense,
        ffn_norm=layer.output.LayerNorm,
        ffn_out_owner=layer.output,
        ffn_in_owner=layer.intermediate,
        attention_output_owner=layer.attention.output,
    )


def layer_shapes(model: nn.Module) -> list[LayerShape]:
    """Heads and feed-forward width of every layer as the model stands now."""
    shapes = []
    for parts in map(layer_parts, encoder_layers(model)):
        heads = parts.query.out_features // parts.attention.attention_head_size
        shapes.append(LayerShape(heads, parts.ffn_in.out_features))
    return shapes


def resize_layers(model: nn.Module, shapes: Iterable[LayerShape]) -> None:
    """Give every layer the matrices of a pruned shape, uninitialised, and note the shapes in the config."""
    shapes = list(shapes)
    for layer, shape in zip(encoder_layers(model), shapes, strict=True):
        parts = layer_parts(layer)
        width = shape.heads * parts.attention.attention_head_size
        hidden = parts.query.in_features
        for name in ("query", "key", "value"):
            setattr(parts.attention, name, nn.Linear(hidden, width))
        parts.attention_output_owner.dense = nn.Linear(width, hidden)
        parts.ffn_in_owner.dense = nn.Linear(hidden, shape.ffn)
        parts.ffn_out_owner.dense = nn.Linear(shape.ffn, hidden)
    note_shapes(model)


def note_shapes(model: Any) -> None:  # noqa: ANN401
    """Write each layer's shape into the attributes and the config, so that the saved folder reloads."""
    for layer in encoder_layers(model):
        attention = layer_parts(layer).attention
        attention.all_head_size = attention.query.out_features
        attention.num_attention_heads = attention.query.out_features // attention.attention_head_size
    shapes = layer_shapes(model)
    uniform = LayerShape(model.config.num_attention_heads, model.config.intermediate_size)
    if all(shape == uniform for shape in shapes):
        return
    setattr(model.config, SHAPES_KEY, [[shape.heads, shape.ffn] for shape in shapes])


def noted_shapes(config: Any) -> list[LayerShape] | None:  # noqa: ANN401
    """Layer shapes that a pruned model's config carries, or None for a model that was not pruned."""
    noted = getattr(config, SHAPES_KEY, None)
    return None if noted is None else [LayerShape(heads, ffn) for heads, ffn in noted]


def _bert(model: Any) -> Any:  # noqa: ANN401
    return model.bert if hasattr(model, "bert") else model
