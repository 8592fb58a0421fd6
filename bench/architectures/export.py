"""Write the graphs of one architecture, each with its weights in a separate file.

ONNX Runtime maps such a file into memory, so only the parts of a word table that are read become resident. Therefore
both graphs of an encoder-decoder can have the table: the first reads only the rows of its text, the second reads all of
it for its logits.
"""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import torch

from bench.architectures import graphs, models

OPSET = 20


def export(architecture: str, model: Any, folder: Path, longest: int, tags: bool = False) -> list[str]:
    """Write every graph of a model.

    Args:
        architecture: One of `models.ARCHITECTURES`.
        model: The model in transformers.
        folder: Folder for the graphs.
        longest: Largest number of tokens in a graph, including the cache.
        tags: For the encoder: whether the model has the head for tags.

    Returns:
        Names of the `.onnx` files.
    """
    if architecture == models.ENCODER:
        return [_encoder(model, folder / f"{'tag' if tags else 'classify'}.onnx", longest)]
    if architecture == models.DECODER:
        return [_decoder(model, folder / "decoder.onnx", longest)]
    return [_encode(model, folder / "encode.onnx", longest), _step(model, folder / "step.onnx", longest)]


def cache_names(prefix: str, layers: int) -> list[str]:
    """Return the names of the cache's tensors in a graph, in order."""
    return [f"{prefix}.{layer}.{what}" for layer in range(layers) for what in ("key", "value")]


def _encoder(model: Any, out: Path, longest: int) -> str:
    model.set_attn_implementation("eager")
    ids = torch.ones((1, 8), dtype=torch.int64)
    length = torch.export.Dim("length", min=2, max=longest)
    names = ["input_ids", "token_type_ids"]
    return _save(graphs.EncoderGraph(model), (ids, ids.clone()), ({1: length}, {1: length}), names, ["logits"], out)


def _decoder(model: Any, out: Path, longest: int) -> str:
    config = model.config
    past = _cache(config.n_layer, config.n_head, 3, config.n_embd // config.n_head)
    length, seen = _dim("length", longest, least=1), _dim("seen", longest)
    inputs = ["input_ids", *cache_names("past", config.n_layer)]
    outputs = ["logits", *cache_names("present", config.n_layer)]
    shapes = ({1: length}, [{2: seen}] * len(past))
    ids = torch.ones((1, 5), dtype=torch.int64)
    return _save(graphs.DecoderGraph(model), (ids, past), shapes, inputs, outputs, out)


def _encode(model: Any, out: Path, longest: int) -> str:
    ids = torch.ones((1, 8), dtype=torch.int64)
    shapes = ({1: _dim("length", longest, least=2)},)
    outputs = cache_names("cross", model.config.num_decoder_layers)
    return _save(graphs.EncodeGraph(model), (ids,), shapes, ["input_ids"], outputs, out)


def _step(model: Any, out: Path, longest: int) -> str:
    config = model.config
    layers, past = config.num_decoder_layers, _cache(config.num_decoder_layers, config.num_heads, 3, config.d_kv)
    cross = _cache(layers, config.num_heads, 8, config.d_kv)
    shapes = (None, [{2: _dim("seen", longest)}] * len(past), [{2: _dim("length", longest, least=2)}] * len(cross))
    inputs = ["input_ids", *cache_names("past", layers), *cache_names("cross", layers)]
    outputs = ["logits", *cache_names("present", layers)]
    ids = torch.ones((1, 1), dtype=torch.int64)
    return _save(graphs.StepGraph(model), (ids, past, cross), shapes, inputs, outputs, out)


def _dim(name: str, longest: int, least: int = 0) -> Any:
    return torch.export.Dim(name, min=least, max=longest)


def _cache(layers: int, heads: int, length: int, width: int) -> list[torch.Tensor]:
    return [torch.zeros((1, heads, length, width)) for _ in range(2 * layers)]


def _save(
    module: torch.nn.Module, given: tuple[Any, ...], shapes: Any, inputs: list[str], outputs: list[str], out: Path
) -> str:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            given,
            dynamo=True,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            input_names=inputs,
            output_names=outputs,
            verbose=False,
        )
    program.save(out, external_data=True)
    del program
    gc.collect()
    return out.name
