"""The exported modules: the weights of transformers' models, with the cache as ordinary inputs and outputs.

Each module computes the same as transformers' own forward; `prepare.py` checks this before the measurement. The batch
size is 1 and there is no padding, so no graph has a padding mask. A cache is a flat list: keys and values of the first
layer, of the second, ...
*Shape* of each: (1, heads, length, head width).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class EncoderGraph(nn.Module):
    """BERT with its head. *Shape*: inputs (1, length); output (1, labels), or (1, length, labels) for tags."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        return self.model(input_ids=input_ids, token_type_ids=token_type_ids).logits


class DecoderGraph(nn.Module):
    """GPT-2: one graph for the prompt (an empty cache) and for every step after it (one token).

    *Shape*: `input_ids` (1, length); logits of the last position alone (1, words); the cache grows by the length.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.body = model, model.transformer

    def forward(self, input_ids: Tensor, past: list[Tensor]) -> tuple[Tensor, ...]:
        length, seen = input_ids.shape[1], past[0].shape[2]
        positions = torch.arange(length) + seen
        hidden = self.body.wte(input_ids) + self.body.wpe(positions)
        ahead = torch.arange(length + seen)[None, :] > positions[:, None]
        mask = torch.zeros(ahead.shape).masked_fill(ahead, torch.finfo(torch.float32).min)
        present: list[Tensor] = []
        for at, block in enumerate(self.body.h):
            attention = block.attn
            triple = attention.c_attn(block.ln_1(hidden)).split(attention.split_size, dim=2)
            query, key, value = (_heads(each, attention.num_heads) for each in triple)
            keys, values = torch.cat([past[2 * at], key], 2), torch.cat([past[2 * at + 1], value], 2)
            present += [keys, values]
            hidden = hidden + attention.c_proj(_attend(query, keys, values, attention.scaling, mask))
            hidden = hidden + block.mlp(block.ln_2(hidden))
        last = self.body.ln_f(hidden[:, -1])
        return (_scores(self.body.wte.weight, last), *present)


class EncodeGraph(nn.Module):
    """T5's encoder, and the keys and values of its result for each decoder layer. It runs once per text.

    *Shape*: `input_ids` (1, length); the cache of cross-attention, of that length.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor) -> tuple[Tensor, ...]:
        stack, length = self.model.encoder, input_ids.shape[1]
        hidden = stack.embed_tokens(input_ids)
        bias = stack.block[0].layer[0].SelfAttention.compute_bias(length, length)
        for block in stack.block:
            attention = block.layer[0].SelfAttention
            normed = _rms_norm(block.layer[0].layer_norm, hidden)
            keys, values = _keys_values(attention, normed)
            query = _heads(attention.q(normed), attention.n_heads)
            hidden = hidden + attention.o(_attend(query, keys, values, 1.0, bias))
            hidden = _feed_forward(block.layer[-1], hidden)
        encoded = _rms_norm(stack.final_layer_norm, hidden)
        crossed = [_keys_values(block.layer[1].EncDecAttention, encoded) for block in self.model.decoder.block]
        return tuple(each for pair in crossed for each in pair)


class StepGraph(nn.Module):
    """One step of T5's decoder. The first step has an empty cache.

    *Shape*: `input_ids` (1, 1); logits (1, words); the cache of self-attention grows by one.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, past: list[Tensor], cross: list[Tensor]) -> tuple[Tensor, ...]:
        stack, seen = self.model.decoder, past[0].shape[2]
        hidden = stack.embed_tokens(input_ids)
        bias = stack.block[0].layer[0].SelfAttention.compute_bias(1, seen + 1, past_seen_tokens=seen)
        present: list[Tensor] = []
        for at, block in enumerate(stack.block):
            attention = block.layer[0].SelfAttention
            normed = _rms_norm(block.layer[0].layer_norm, hidden)
            key, value = _keys_values(attention, normed)
            keys, values = torch.cat([past[2 * at], key], 2), torch.cat([past[2 * at + 1], value], 2)
            present += [keys, values]
            query = _heads(attention.q(normed), attention.n_heads)
            hidden = hidden + attention.o(_attend(query, keys, values, 1.0, bias))
            crossing = block.layer[1].EncDecAttention
            query = _heads(crossing.q(_rms_norm(block.layer[1].layer_norm, hidden)), crossing.n_heads)
            hidden = hidden + crossing.o(_attend(query, cross[2 * at], cross[2 * at + 1], 1.0, None))
            hidden = _feed_forward(block.layer[-1], hidden)
        last = _rms_norm(stack.final_layer_norm, hidden)[:, -1]
        if self.model.config.scale_decoder_outputs:
            last = last * self.model.config.d_model**-0.5
        return (_scores(self.model.shared.weight, last), *present)


def _heads(rows: Tensor, heads: int) -> Tensor:
    """Reshape (1, length, width) to (1, heads, length, head width)."""
    return rows.view(1, rows.shape[1], heads, -1).transpose(1, 2)


def _attend(query: Tensor, keys: Tensor, values: Tensor, scaling: float, bias: Tensor | None) -> Tensor:
    """Compute attention, from (1, heads, length, head width) to (1, length, width)."""
    scores = torch.matmul(query, keys.transpose(2, 3))
    scores = scores if scaling == 1.0 else scores * scaling
    scores = scores if bias is None else scores + bias
    return torch.matmul(torch.softmax(scores, -1), values).transpose(1, 2).reshape(1, query.shape[2], -1)


def _keys_values(attention: Any, rows: Tensor) -> tuple[Tensor, Tensor]:
    return _heads(attention.k(rows), attention.n_heads), _heads(attention.v(rows), attention.n_heads)


def _rms_norm(norm: Any, rows: Tensor) -> Tensor:
    """T5's layer norm, written so that ONNX Runtime fuses it into one operator."""
    return rows / torch.sqrt(rows.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon) * norm.weight


def _feed_forward(layer: Any, rows: Tensor) -> Tensor:
    return rows + layer.DenseReluDense(_rms_norm(layer.layer_norm, rows))


def _scores(table: Tensor, last: Tensor) -> Tensor:
    """Compute the logits of one position as word table times column, so that ONNX Runtime makes no repacked copy of it.

    *Shape*: (words, width) and (1, width) to (1, words).
    """
    return torch.matmul(table, last.reshape(-1, 1)).reshape(1, -1)
