"""Let every family train under autocast, also those whose transformers code fails there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from edgebert.compress import arch
from edgebert.compress.families import DEBERTA_V1

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel


def keep_attention_in_fp32(model: PreTrainedModel) -> None:
    """Run the attention of DeBERTa v1 in FP32 under autocast; changes the model in place.

    It masks bfloat16 scores with the smallest FP32 number, which bfloat16 cannot hold.
    """
    if model.config.model_type != DEBERTA_V1.model_type:
        return
    for layer in arch.encoder_layers(model):
        attention = arch.layer_parts(layer).attention
        attention.forward = partial(_in_fp32, attention.forward)


def _in_fp32(forward: Callable[..., Any], hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    device = hidden_states.device.type
    if not torch.is_autocast_enabled(device):
        return forward(hidden_states, *args, **kwargs)
    with torch.autocast(device, enabled=False):
        return forward(hidden_states.float(), *args, **kwargs)
