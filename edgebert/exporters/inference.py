"""Rewrite the encoder and its head for inference: the same function with fewer operations.

All changes are exact. The scale of the scores is folded into the query's weights. The segment table is folded into the
positions if a task or a family has one segment. The last layer is computed only for the [CLS] row if the head reads no
other. The mask becomes one addition. Queries, keys and values stay three matrix products: one product of three times
the width needs a Split after it, which costs more than it saves (CONTRIBUTING, Decisions). For families with standard
layers (`compress.families`), pruned or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import arch

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MASKED = -10000.0


class InferenceModel(nn.Module):
    """Task model with inputs ids, attention mask and, for tasks with two segments, token types.

    *Shape*: every input (batch, length), int64; outputs as the head returns them, float32.
    """

    def __init__(self, model: PreTrainedModel, head: nn.Module, rows: str, segments: int, max_length: int) -> None:
        """Copy the weights of a task model, pruned or not, and the positions of `max_length` tokens.

        Args:
            model: The task model; its family must have standard layers.
            head: Maps the rows of the last layer and the mask to a tuple of outputs.
            rows: "first" if the head reads only the [CLS] row, else "all".
            segments: Texts in one input, 1 or 2.
            max_length: Longest input in tokens.
        """
        super().__init__()
        known = arch.input_names(model.config)
        self.inputs = known if segments > 1 else [name for name in known if name != arch.SEGMENT_INPUT]
        takes_segments = arch.SEGMENT_INPUT in self.inputs
        self.embeddings = _Embeddings(arch.embedding_parts(model), takes_segments, max_length)
        layers = [arch.layer_parts(layer) for layer in arch.encoder_layers(model)]
        self.layers = nn.ModuleList(Layer(parts) for parts in layers[:-1])
        self.last = _FirstRowLayer(layers[-1]) if rows == "first" else Layer(layers[-1])
        self.head = head

    def encoder_layers(self) -> list[Layer]:
        """Every layer of the encoder, in order."""
        return [layer for layer in (*self.layers, self.last) if isinstance(layer, Layer)]

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Outputs of a batch."""
        bias = (1.0 - attention_mask.to(torch.float32))[:, None, None, :] * MASKED
        hidden = self.embeddings(input_ids, token_type_ids)
        for layer in self.layers:
            hidden = layer(hidden, bias)
        outputs: tuple[Tensor, ...] = self.head(self.last(hidden, bias), attention_mask)
        return outputs


class _Embeddings(nn.Module):
    def __init__(self, parts: arch.EmbeddingParts, takes_segments: bool, max_length: int) -> None:
        super().__init__()
        self.words = parts.words
        self.padding_id = parts.padding_id
        # If positions skip padding, the first kept row is padding's own.
        first, rows = (0, max_length) if parts.padding_id is None else (parts.padding_id, max_length + 1)
        positions = parts.positions.weight.detach()[first : first + rows].clone()
        folded = None if parts.types is None or takes_segments else parts.types.weight.detach()[0]
        self.positions = nn.Parameter(positions if folded is None else positions + folded)
        self.types = parts.types if takes_segments else None
        self.norm, self.projection = parts.norm, parts.projection

    def forward(self, input_ids: Tensor, token_type_ids: Tensor | None) -> Tensor:
        hidden: Tensor = self.words(input_ids) + self._positions(input_ids)
        if self.types is not None:
            hidden = hidden + self.types(token_type_ids)
        hidden = self.norm(hidden)
        if self.projection is not None:
            hidden = self.projection(hidden)
        return hidden

    def _positions(self, input_ids: Tensor) -> Tensor:
        if self.padding_id is None:
            return self.positions[: input_ids.shape[1]]
        is_token = (input_ids != self.padding_id).to(torch.int64)
        return functional.embedding(torch.cumsum(is_token, dim=1) * is_token, self.positions)


class Layer(nn.Module):
    """One encoder layer for all rows.

    *Shape*: rows in and out (batch, length, width), the mask (batch, 1, 1, length).
    """

    def __init__(self, parts: arch.LayerParts) -> None:
        """Take the parts of a layer."""
        super().__init__()
        self.attention_input: nn.Module = nn.Identity()
        self.attention, self.tail = _Attention(parts), _LayerTail(parts)

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Return the layer's rows."""
        given = self.attention_input(hidden)
        tail: Tensor = self.tail(self.attention(given, given, bias), hidden)
        return tail


class _FirstRowLayer(Layer):
    """The last encoder layer for the [CLS] row only: keys and values of every row, one query."""

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        given = self.attention_input(hidden)
        tail: Tensor = self.tail(self.attention(given[:, :1], given, bias), hidden[:, :1])
        return tail


class _Attention(nn.Module):
    """Attention of the query rows to all rows, before the output projection."""

    def __init__(self, parts: arch.LayerParts) -> None:
        super().__init__()
        self.head_size = parts.attention.attention_head_size
        self.query = _scaled(parts.query, self.head_size**-0.5)
        self.key, self.value = parts.key, parts.value

    def forward(self, queried: Tensor, hidden: Tensor, bias: Tensor) -> Tensor:
        query, key, value = self._heads(self.query(queried)), self._heads(self.key(hidden)), self.value(hidden)
        weights = torch.softmax(query @ key.transpose(-1, -2) + bias, dim=-1)
        return (weights @ self._heads(value)).transpose(1, 2).flatten(2)

    def _heads(self, joined: Tensor) -> Tensor:
        """(batch, rows, width) to (batch, heads, rows, head size)."""
        batch, rows, width = joined.shape
        return joined.reshape(batch, rows, width // self.head_size, self.head_size).transpose(1, 2)


class _LayerTail(nn.Module):
    """The rest of a layer after attention: output projection, residual, norm, feed-forward, residual, norm."""

    def __init__(self, parts: arch.LayerParts) -> None:
        super().__init__()
        self.attention_output, self.attention_norm = parts.attention_output, parts.attention_norm
        self.ffn_in, self.activation = parts.ffn_in, parts.ffn_activation
        self.ffn_out, self.ffn_norm = parts.ffn_out, parts.ffn_norm
        self.ffn_input: nn.Module = nn.Identity()
        self.ffn_middle: nn.Module = nn.Identity()

    def forward(self, context: Tensor, residual: Tensor) -> Tensor:
        hidden = self.attention_norm(self.attention_output(context) + residual)
        middle = self.ffn_middle(self.activation(self.ffn_in(self.ffn_input(hidden))))
        normed: Tensor = self.ffn_norm(self.ffn_out(middle) + hidden)
        return normed


class Rescale(nn.Module):
    """Multiply every channel by a factor; INT8 smoothing (`exporters.quantize.smooth`) puts it before matrix products.

    *Shape* of input and output: (batch, rows, width).
    """

    def __init__(self, factors: Tensor) -> None:
        """Take one factor per channel. *Shape*: (width)."""
        super().__init__()
        self.factors = nn.Parameter(factors)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the rescaled rows."""
        return hidden * self.factors


def _scaled(linear: nn.Linear, scale: float) -> nn.Linear:
    scaled = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        scaled.weight.copy_(linear.weight * scale)
        scaled.bias.copy_(linear.bias * scale)
    return scaled
