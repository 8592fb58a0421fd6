"""Distillation losses. All take padded batches and count only real tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def soft_target(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Divergence of the student's softened class distribution from the teacher's, times temperature squared.

    *Shape* of both logits: (batch, labels). Hinton, Vinyals, Dean 2015, arXiv:1503.02531.
    """
    student = functional.log_softmax(student_logits.float() / temperature, dim=-1)
    teacher = functional.log_softmax(teacher_logits.float() / temperature, dim=-1)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def hidden_state(student_hidden: Tensor, teacher_hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """Mean squared distance of hidden states over real tokens.

    *Shape* of both: (batch, length, teacher width); mask: (batch, length).
    Romero et al. 2015, arXiv:1412.6550; Jiao et al. 2020, arXiv:1909.10351.
    """
    weight = attention_mask.unsqueeze(-1).float()
    squared = (student_hidden.float() - teacher_hidden.float()).pow(2) * weight
    return squared.sum() / (weight.sum() * student_hidden.shape[-1])


def relation(student_states: Tensor, teacher_states: Tensor, attention_mask: Tensor, heads: int) -> Tensor:
    """Divergence between token-to-token relations of queries, keys or values; widths may differ.

    *Shape* of states: (batch, length, width), the width a multiple of `heads`; mask: (batch, length).
    Wang et al. 2021 (MiniLMv2), arXiv:2012.15828, equations 3 to 6.
    """
    student = _relations(student_states, attention_mask, heads)
    teacher = _relations(teacher_states, attention_mask, heads)
    per_row = (teacher.exp() * (teacher - student)).masked_fill(attention_mask[:, None, None, :] == 0, 0.0).sum(-1)
    rows = attention_mask[:, None, :].float().expand_as(per_row)
    return (per_row * rows).sum() / rows.sum()


def relation_heads(student_width: int, teacher_width: int, most: int) -> int:
    """Largest number of relation heads, at most `most`, that divides both widths."""
    return max(heads for heads in range(1, most + 1) if student_width % heads == 0 and teacher_width % heads == 0)


def _relations(states: Tensor, attention_mask: Tensor, heads: int) -> Tensor:
    batch, length, width = states.shape
    split = states.float().view(batch, length, heads, width // heads).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / (width // heads) ** 0.5
    scores = scores.masked_fill(attention_mask[:, None, None, :] == 0, torch.finfo(scores.dtype).min)
    return functional.log_softmax(scores, dim=-1)
