"""Make a model trace to the same nodes in every process.

ModernBERT computes the angles of its positions in the order of a set of names, which differs between processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Angles = tuple[Tensor, Tensor]


def steady_order(model: PreTrainedModel) -> None:
    """Compute angles of positions in the order of their names, in place, if a model has several kinds."""
    rotary = getattr(model.base_model, "rotary_emb", None)
    if rotary is not None and not isinstance(rotary, _InOrder):
        model.base_model.rotary_emb = _InOrder(rotary)


class _InOrder(nn.Module):
    """Computes all kinds of angles when the first one of a forward pass is needed."""

    def __init__(self, rotary: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.rotary = rotary
        self._made: dict[str, Angles] = {}

    def forward(self, hidden: Tensor, position_ids: Tensor, kind: str) -> Angles:
        if kind not in self._made:
            kinds = sorted(set(self.rotary.config.layer_types))
            self._made = {each: self.rotary(hidden, position_ids, each) for each in kinds}
        return self._made.pop(kind)
