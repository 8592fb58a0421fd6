"""Make a student from chosen layers of a teacher, narrower if the recipe says so."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from edgebert.compress import arch, low_rank
from edgebert.compress.families import families_that
from edgebert.errors import SettingsError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def make_student(teacher: PreTrainedModel, layers: tuple[int, ...], hidden_size: int = 0) -> PreTrainedModel:
    """Copy the given layers of a teacher, counted from 0, and reduce the hidden size if one is given.

    Starting from the teacher's own layers follows Sun et al. 2019 (arXiv:1908.09355) and Sanh et al. 2019
    (arXiv:1910.01108); the width keeps the dimensions, heads and neurons of largest weight.

    Raises:
        SettingsError: The teacher does not have a layer, its heads do not divide the width, or its family or head
            cannot be narrowed.
    """
    check_layers(teacher.config, layers)
    check_width(teacher.config, hidden_size)
    student = copy.deepcopy(teacher)
    arch.keep_layers(student, layers)
    if hidden_size and hidden_size != teacher.config.hidden_size:
        _narrow(student, hidden_size)
    return student


def check_layers(config: PreTrainedConfig, layers: tuple[int, ...]) -> None:
    """Refuse layers that the teacher does not have, or that cannot be in this order.

    Raises:
        SettingsError: Names the number of layers.
    """
    count = config.num_hidden_layers
    if layers[-1] >= count:
        raise SettingsError(f"distill.layers {list(layers)}: the teacher has {count} layers, counted 0 to {count - 1}")
    groups = config.num_hidden_groups if arch.family_of(config).in_group else 1
    if groups > 1:
        raise SettingsError(
            f"distill.layers {list(layers)}: the teacher's {count} layers share the weights of {groups} groups "
            "(num_hidden_groups), and transformers would give other layers to each; leave [distill] out"
        )
    if arch.family_of(config).first_layer_stays and layers[0] != 0:
        raise SettingsError(
            f"distill.layers {list(layers)}: the first layer of {config.model_type} models has no norm before its "
            "attention, so no other layer can replace it; begin the list with 0"
        )


def check_width(config: PreTrainedConfig, hidden_size: int) -> None:
    """Refuse a width to which a teacher with this config cannot be reduced; 0 keeps the teacher's width.

    Raises:
        SettingsError: Names the possible families or widths.
    """
    if not hidden_size or hidden_size == config.hidden_size:
        return
    if not arch.family_of(config).narrows:
        raise SettingsError(
            f"distill.hidden_size is {hidden_size}: {config.model_type} models cannot be narrowed, only "
            f"{families_that(lambda family: family.narrows)}; leave it out and keep fewer layers"
        )
    if arch.noted_shapes(config) is not None:
        raise SettingsError("distill.hidden_size: the teacher is already pruned; narrow it before pruning")
    if low_rank.noted_rank(config) is not None:
        raise SettingsError("distill.hidden_size: the teacher's word table is of low rank; narrow it before that")
    head_size = config.hidden_size // config.num_attention_heads
    if hidden_size > config.hidden_size or hidden_size % head_size:
        raise SettingsError(
            f"distill.hidden_size is {hidden_size}; expected a multiple of the head size {head_size} "
            f"up to the teacher's {config.hidden_size}"
        )


def _narrow(model: PreTrainedModel, hidden_size: int) -> None:
    config = model.config
    head_size = config.hidden_size // config.num_attention_heads
    heads = hidden_size // head_size
    ffn = config.intermediate_size * hidden_size // config.hidden_size
    kept = _largest(_dimension_weight(model), hidden_size)
    for layer in arch.encoder_layers(model):
        _narrow_layer(layer, kept, heads, head_size, ffn)
    _narrow_embeddings(model, kept)
    _narrow_head(model, kept)
    config.hidden_size, config.num_attention_heads, config.intermediate_size = hidden_size, heads, ffn
    arch.note_shapes(model)


def _dimension_weight(model: PreTrainedModel) -> Tensor:
    """Weight of every hidden dimension. *Shape*: (hidden,)."""
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
    arch.set_parts(
        layer,
        query=cut_linear(parts.query, rows, kept),
        key=cut_linear(parts.key, rows, kept),
        value=cut_linear(parts.value, rows, kept),
        attention_output=cut_linear(parts.attention_output, kept, rows),
        attention_norm=_cut_norm(parts.attention_norm, kept),
        ffn_in=cut_linear(parts.ffn_in, neurons, kept),
        ffn_out=cut_linear(parts.ffn_out, kept, neurons),
        ffn_norm=_cut_norm(parts.ffn_norm, kept),
    )


def _narrow_embeddings(model: PreTrainedModel, kept: Tensor) -> None:
    embeddings = arch.embeddings(model)
    for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
        table = getattr(embeddings, name)
        table.weight = nn.Parameter(table.weight.detach()[:, kept].clone())
        table.embedding_dim = len(kept)
    embeddings.LayerNorm = _cut_norm(embeddings.LayerNorm, kept)


def _narrow_head(model: PreTrainedModel, kept: Tensor) -> None:
    """Narrow the pooler and the head: linear layers over its rows, and BERT's masked-language head.

    Raises:
        SettingsError: The head is of another kind.
    """
    if (pooler := arch.pooler(model)) is not None:
        model.base_model.pooler.dense = cut_linear(pooler, kept, kept)
    if model.base_model is model:
        return
    for name, head in model.named_children():
        if isinstance(head, nn.Linear):
            setattr(model, name, cut_linear(head, torch.arange(head.out_features), kept))
        elif type(head).__name__ == "BertOnlyMLMHead":
            _narrow_masked_lm(model, kept)
        elif head is not model.base_model and list(head.parameters()):
            raise SettingsError(
                f"distill.hidden_size: the head '{name}' ({type(head).__name__}) of {type(model).__name__} cannot be "
                "narrowed; leave hidden_size out and keep fewer layers"
            )


def _narrow_masked_lm(model: PreTrainedModel, kept: Tensor) -> None:
    transform, decoder = model.cls.predictions.transform, model.cls.predictions.decoder
    transform.dense = cut_linear(transform.dense, kept, kept)
    transform.LayerNorm = _cut_norm(transform.LayerNorm, kept)
    tied, words = model.config.tie_word_embeddings, arch.embeddings(model).word_embeddings
    decoder.weight = words.weight if tied else nn.Parameter(decoder.weight.detach()[:, kept].clone())
    decoder.in_features = len(kept)


def cut_linear(linear: nn.Linear, rows: Tensor, columns: Tensor) -> nn.Linear:
    """Make a smaller linear layer from the given output rows and input columns."""
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
