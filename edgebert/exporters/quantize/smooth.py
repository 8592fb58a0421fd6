"""Activation outliers moved into the weights before INT8: SmoothQuant (Xiao et al. 2022, arXiv 2211.10438).

A few channels of a BERT's activations are far larger than the rest, and one scale for all of them leaves the rest few
steps. Dividing channel j by s_j and multiplying the weights that read it by s_j changes no product and evens both out:

    s_j = max|X_j|^alpha / max|W_j|^(1 - alpha)

The context of attention is a weighted mean of values, so its factors go into the value's weights and bias and cost
nothing. What attention and the feed-forward part read comes from a LayerNorm whose output is a residual too, and what
the second feed-forward product reads comes from a GELU, which is not linear: before those stands one multiplication.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from edgebert.exporters.inference import InferenceModel, Layer, Rescale
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.strict_json import Json

SMALLEST = 1e-5


def smooth_module(module: InferenceModel, rows: Sequence[Encoded], alpha: float) -> dict[str, Json]:
    """Smooth every product of the encoder's layers, in place: its outputs stay the same up to FP32 rounding.

    Args:
        module: The model rewritten for inference; its weights are written over.
        rows: Encoded calibration texts, each read alone.
        alpha: How much of the difficulty moves from activations to weights, above 0 and up to 1.

    Returns:
        For the manifest: `alpha`, products with a multiplication before them, and pairs `folded` without one.
    """
    layers = module.encoder_layers()
    readers = [product for layer in layers for product in _readers(layer)]
    largest = dict(zip(readers, _largest_inputs(module, readers, rows), strict=True))
    with torch.no_grad():
        for layer in layers:
            _smooth_layer(layer, largest, alpha)
    return {"alpha": alpha, "rescaled": 3 * len(layers), "folded": len(layers)}


def _readers(layer: Layer) -> tuple[nn.Linear, ...]:
    """One product for each activation of a layer; the key reads every row, where a last query may read the first."""
    return layer.attention.key, layer.tail.attention_output, layer.tail.ffn_in, layer.tail.ffn_out


def _smooth_layer(layer: Layer, largest: dict[nn.Linear, Tensor], alpha: float) -> None:
    attention, tail = layer.attention, layer.tail
    factors = _factors(largest[tail.attention_output], [tail.attention_output], alpha)
    attention.value.weight.div_(factors[:, None])
    attention.value.bias.div_(factors)
    products = [attention.query, attention.key, attention.value]
    layer.attention_input = Rescale(1 / _factors(largest[attention.key], products, alpha))
    tail.ffn_input = Rescale(1 / _factors(largest[tail.ffn_in], [tail.ffn_in], alpha))
    tail.ffn_middle = Rescale(1 / _factors(largest[tail.ffn_out], [tail.ffn_out], alpha))


def _factors(largest: Tensor, products: Sequence[nn.Linear], alpha: float) -> Tensor:
    """Factors of the channels that products read, after multiplying their weights by them; 1 for a silent channel."""
    weights = torch.stack([product.weight.abs().amax(dim=0) for product in products]).amax(dim=0)
    factors = largest.clamp(min=SMALLEST) ** alpha / weights.clamp(min=SMALLEST) ** (1 - alpha)
    factors[(largest == 0) | (weights == 0)] = 1.0
    for product in products:
        product.weight *= factors
    return factors


def _largest_inputs(module: InferenceModel, products: Sequence[nn.Linear], rows: Sequence[Encoded]) -> list[Tensor]:
    """Largest size of every channel that each product reads. *Shape* of each: (width)."""
    largest = [torch.zeros(product.in_features) for product in products]
    hooks = [
        product.register_forward_pre_hook(partial(_note, found))
        for product, found in zip(products, largest, strict=True)
    ]
    with torch.no_grad():
        for row in rows:
            inputs = padded_inputs([row], module.inputs)
            module(*(torch.from_numpy(inputs[name]) for name in module.inputs))
    for hook in hooks:
        hook.remove()
    return largest


def _note(largest: Tensor, _product: nn.Module, given: tuple[Tensor, ...]) -> None:
    torch.maximum(largest, given[0].abs().flatten(0, -2).amax(dim=0), out=largest)
