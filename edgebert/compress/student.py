"""A student made from chosen layers of a teacher and, where asked, narrower."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from edgebert.compress import arch
from edgebert.errors import SettingsError


def make_student(teacher: Any, layers: tuple[int, ...], hidden_size: int = 0) -> Any:  # noqa: ANN401
    """Copy the named layers of a teacher, counted from 0, and cut the hidden size where it is given.

    Starting from the teacher's own layers follows Sun et al. 2019 (arXiv:1908.09355) and Sanh et al. 2019
    (arXiv:1910.01108); the width keeps the dimensions, heads and neurons of largest weight.

    Raises:
        SettingsError: A layer that the teacher does not have, or a width that its heads do not divide.
    """
    check_layers(len(arch.encoder_layers(teacher)), layers)
    student = copy.deepcopy(teacher)
    encoder = student.bert.encoder
    encoder.layer = nn.ModuleList(encoder.layer[index] for index in layers)
    for index, layer in enumerate(encoder.layer):
        layer.attention.self.layer_idx = index
    student.config.num_hidden_layers = len(layers)
    arch.note_shapes(student)
    if hidden_size and hidden_size != teacher.config.hidden_size:
        _narrow(student, hidden_size)
    return student


def check_layers(count: int, layers: tuple[int, ...]) -> None:
    """Refuse layers that a teacher of `count` layers does not have.

    Raises:
        SettingsError: Says how many there are.
    """
    if layers[-1] >= count:
        raise SettingsError(f"distill.layers {list(layers)}: the teacher has {count} layers, counted 0 to {count - 1}")


def _narrow(model: Any, hidden_size: int) -> None:  # noqa: ANN401
    config = model.config
    head_size = arch.layer_parts(arch.encoder_layers(model)[0]).attention.attention_head_size
    if arch.noted_shapes(config) is not None:
        raise SettingsError("distill.hidden_size: the teacher is already pruned; narrow it before pruning")
    if hidden_size > config.hidden_size or hidden_size % head_size:
        raise SettingsError(
            f"distill.hidden_size is {hidden_size}; expected a multiple of the head size {head_size} "
            f"up to the teacher's {config.hidden_size}"
        )
    kept = _largest(_dimension_weight(model), hidden_size)
    ffn = config.intermediate_size * hidden_size // config.hidden_size
    for layer in arch.encoder_layers(model):
        _narrow_layer(layer, kept, hidden_size // head_size, head_size, ffn)
    _narrow_ends(model, kept)
    config.hidden_size, config.num_attention_heads, config.intermediate_size = (
        hidden_size,
        hidden_size // head_size,
        ffn,
    )
    arch.note_shapes(model)


def _dimension_weight(model: Any) -> Tensor:  # noqa: ANN401
    """How much every hidden dimension is used. *Shape*: (hidden,)."""
    norms = [arch.embeddings(model).LayerNorm]
    for parts in map(arch.layer_parts, arch.encoder_layers(model)):
        norms += [parts.attention_norm, parts.ffn_norm]
    return torch.stack([norm.weight.detach().abs() / norm.weight.detach().abs().mean() for norm in norms]).sum(0)


def _narrow_layer(layer: Any, kept: Tensor, heads: int, head_size: int, ffn: int) -> None:  # noqa: ANN401
    parts = arch.layer_parts(layer)
    head_norm = parts.attention_output.weight.detach().view(parts.attention_output.out_features, -1, head_size)
    kept_heads = _largest(head_norm.pow(2).sum((0, 2)), heads)
    rows = (kept_heads[:, None] * head_size + torch.arange(head_size)).flatten()
    neurons = _largest(parts.ffn_in.weight.detach().norm(dim=1) * parts.ffn_out.weight.detach().norm(dim=0), ffn)
    for name in ("query", "key", "value"):
        setattr(parts.attention, name, cut_linear(getattr(parts, name), rows, kept))
    parts.attention_output_owner.dense = cut_linear(parts.attention_output, kept, rows)
    parts.ffn_in_owner.dense = cut_linear(parts.ffn_in, neurons, kept)
    parts.ffn_out_owner.dense = cut_linear(parts.ffn_out, kept, neurons)
    parts.attention_output_owner.LayerNorm = _cut_norm(parts.attention_norm, kept)
    parts.ffn_out_owner.LayerNorm = _cut_norm(parts.ffn_norm, kept)


def _narrow_ends(model: Any, kept: Tensor) -> None:  # noqa: ANN401
    embeddings = arch.embeddings(model)
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        table = getattr(embeddings, name)
        table.weight = nn.Parameter(table.weight.detach()[:, kept].clone())
        table.embedding_dim = len(kept)
    embeddings.LayerNorm = _cut_norm(embeddings.LayerNorm, kept)
    model.bert.pooler.dense = cut_linear(arch.pooler(model), kept, kept)
    head = arch.classifier(model)
    model.classifier = cut_linear(head, torch.arange(head.out_features), kept)


def cut_linear(linear: nn.Linear, rows: Tensor, columns: Tensor) -> nn.Linear:
    """A smaller layer with the named output rows and input columns of another."""
    smaller = nn.Linear(len(columns), len(rows))
    with torch.no_grad():
        smaller.weight.copy_(linear.weight[rows][:, columns])
        smaller.bias.copy_(linear.bias[rows])
    return smaller


def _cut_norm(norm: nn.LayerNorm, kept: Tensor) -> nn.LayerNorm:
    smaller = nn.LayerNorm(len(kept), eps=norm.eps)
    with torch.no_grad():
        smaller.weight.copy_(norm.weight[kept])
        smaller.bias.copy_(norm.bias[kept])
    return smaller


def _largest(values: Tensor, count: int) -> Tensor:
    return torch.sort(torch.topk(values, count).indices).values
