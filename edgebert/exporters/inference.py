"""The BERT classifier rewritten for inference: the same function of its inputs, with less to compute.

What differs from the training graph, all of it exact: the three projections of attention are one matrix product, with
the score scale folded into the query rows; the segment table is folded into the positions where a task has one segment;
the last layer is computed for the [CLS] row alone, the only row that the head reads; the mask becomes one addition.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgebert.compress import arch

MASKED = -10000.0


class InferenceClassifier(nn.Module):
    """Classifier over input ids, attention mask and, for tasks of two segments, token types.

    *Shape*: every input (batch, length), int64; logits (batch, labels), float32.
    """

    def __init__(self, model: Any, segments: int, max_length: int) -> None:  # noqa: ANN401
        """Take over the weights of a task model, pruned or not, and the positions of `max_length` tokens."""
        super().__init__()
        self.embeddings = _Embeddings(arch.embeddings(model), segments, max_length)
        layers = [arch.layer_parts(layer) for layer in arch.encoder_layers(model)]
        self.layers = nn.ModuleList(_Layer(parts) for parts in layers[:-1])
        self.last = _LastLayer(layers[-1])
        self.pooler = arch.pooler(model)
        self.classifier = arch.classifier(model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Logits of a batch. *Shape*: (batch, labels)."""
        bias = (1.0 - attention_mask.to(torch.float32))[:, None, None, :] * MASKED
        hidden = self.embeddings(input_ids, token_type_ids)
        for layer in self.layers:
            hidden = layer(hidden, bias)
        pooled = torch.tanh(self.pooler(self.last(hidden, bias)))
        logits: Tensor = self.classifier(pooled).squeeze(1)
        return logits


class _Embeddings(nn.Module):
    def __init__(self, source: Any, segments: int, max_length: int) -> None:  # noqa: ANN401
        super().__init__()
        self.words = source.word_embeddings
        positions = source.position_embeddings.weight.detach()[:max_length].clone()
        types = source.token_type_embeddings.weight.detach()
        self.positions = nn.Parameter(positions + types[0] if segments == 1 else positions)
        self.types = source.token_type_embeddings if segments > 1 else None
        self.norm = source.LayerNorm

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        hidden = self.words(input_ids) + self.positions[: input_ids.shape[1]]
        if self.types is not None:
            hidden = hidden + self.types(token_type_ids)
        normed: Tensor = self.norm(hidden)
        return normed


class _Layer(nn.Module):
    """One encoder layer over every row."""

    def __init__(self, parts: arch.LayerParts) -> None:
        super().__init__()
        self.head_size = parts.attention.attention_head_size
        self.qkv = _joined([_scaled(parts.query, self.head_size**-0.5), parts.key, parts.value])
        self.tail = _LayerTail(parts)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        query, key, value = self.qkv(hidden).chunk(3, dim=-1)
        context = _attend(_heads(query, self.head_size), key, value, bias, self.head_size)
        tail: Tensor = self.tail(context, hidden)
        return tail


class _LastLayer(nn.Module):
    """The last encoder layer for the [CLS] row alone: keys and values of every row, one query."""

    def __init__(self, parts: arch.LayerParts) -> None:
        super().__init__()
        self.head_size = parts.attention.attention_head_size
        self.query = _scaled(parts.query, self.head_size**-0.5)
        self.key_value = _joined([parts.key, parts.value])
        self.tail = _LayerTail(parts)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        first = hidden[:, :1]
        key, value = self.key_value(hidden).chunk(2, dim=-1)
        context = _attend(_heads(self.query(first), self.head_size), key, value, bias, self.head_size)
        tail: Tensor = self.tail(context, first)
        return tail


class _LayerTail(nn.Module):
    """What follows attention in a layer: output projection, residual, norm, feed-forward, residual, norm."""

    def __init__(self, parts: arch.LayerParts) -> None:
        super().__init__()
        self.attention_output, self.attention_norm = parts.attention_output, parts.attention_norm
        self.ffn_in, self.activation = parts.ffn_in, parts.ffn_activation
        self.ffn_out, self.ffn_norm = parts.ffn_out, parts.ffn_norm

    def forward(self, context: Tensor, residual: Tensor) -> Tensor:
        hidden = self.attention_norm(self.attention_output(context) + residual)
        normed: Tensor = self.ffn_norm(self.ffn_out(self.activation(self.ffn_in(hidden))) + hidden)
        return normed


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor, head_size: int) -> Tensor:
    """Attention of split queries over joined keys and values; the scale is already in the queries."""
    scores = query @ _heads(key, head_size).transpose(-1, -2) + bias
    context = torch.softmax(scores, dim=-1) @ _heads(value, head_size)
    return context.transpose(1, 2).flatten(2)


def _heads(joined: Tensor, head_size: int) -> Tensor:
    """(batch, rows, width) to (batch, heads, rows, head size)."""
    batch, rows, width = joined.shape
    return joined.reshape(batch, rows, width // head_size, head_size).transpose(1, 2)


def _joined(linears: list[nn.Linear]) -> nn.Linear:
    joined = nn.Linear(linears[0].in_features, sum(linear.out_features for linear in linears))
    with torch.no_grad():
        joined.weight.copy_(torch.cat([linear.weight for linear in linears]))
        joined.bias.copy_(torch.cat([linear.bias for linear in linears]))
    return joined


def _scaled(linear: nn.Linear, scale: float) -> nn.Linear:
    scaled = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        scaled.weight.copy_(linear.weight * scale)
        scaled.bias.copy_(linear.bias * scale)
    return scaled
