"""Count the matrix products and lookups of an ONNX graph, for the manifest's `cost`.

It counts the graph itself, and not the model that it came from, so rewriting, pruning and quantization are included.
Sizes come from running the graph, unoptimized, on two short texts. A size that differs between the texts is the text's
length.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto

from edgebert.errors import RunError
from edgebert.exporters.attention import expand_attention
from edgebert.exporters.quantize.graph import constants, producers
from edgebert.runtime.cost import LENGTH, Dim, Kind, Precision, Product

LENGTHS = (2, 3)
# Operators that multiply matrices, and the positions of their two factors.
FACTORS = {"MatMul": (0, 1), "Gemm": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}
INTEGER = ("MatMulInteger", "QLinearMatMul")
LOOKUPS = ("Gather", "Slice")
TABLE_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8)
# Matmuls after the attention of a standard layer: its output projection, and the two of the feed-forward part.
TAIL = 3
PRECISIONS: dict[str, Precision] = {"int8": "int8", "uint8": "int8", "float16": "fp16", "float32": "fp32"}

Place = tuple[Kind, int | None]
Sizes = tuple[int, int, int, int]
Arrays = dict[str, NDArray[np.generic]]


def graph_cost(graph: Path) -> list[Product]:
    """List matrix products and lookups of a graph of `exporters.onnx`, or of its INT8 graph; equal ones are merged.

    Layers are found by their attention. If a layer begins with products that do not only feed attention (MobileBERT's
    bottlenecks), these count for the layer before.

    Raises:
        RunError: A size is neither constant nor the text's length.
    """
    model = onnx.load(graph)
    expand_attention(model)
    counted = _Graph(model)
    nodes = [node for node in counted.nodes if counted.is_product(node) or counted.is_lookup(node)]
    places = counted.places()
    short, long = counted.values([name for node in nodes for name in _values(node)], LENGTHS)
    found = []
    for node in nodes:
        kind, layer = places.get(node.output[0], ("lookup", None))
        pairs = _per_token(_sizes(node, kind, short), _sizes(node, kind, long))
        found.append((layer, (kind, counted.precision(node, short), *(_dim(node, *pair) for pair in pairs))))
    return _joined(found)


class _Graph:
    """The nodes of a graph, the node that makes each value, and which values are constant."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes = list(model.graph.node)
        self.made_by = producers(model)
        self.tables = constants(model)
        self.constant = set(self.tables)
        for node in self.nodes:
            if all(name in self.constant for name in node.input if name):
                self.constant |= set(node.output)

    def is_product(self, node: onnx.NodeProto) -> bool:
        """Whether a node multiplies matrices of which at least one depends on the text."""
        return node.op_type in FACTORS and node.output[0] not in self.constant

    def is_lookup(self, node: onnx.NodeProto) -> bool:
        """Whether a node looks up rows of a table."""
        if node.op_type not in LOOKUPS or node.output[0] in self.constant:
            return False
        table = self.tables.get(node.input[0])
        return table is not None and len(table.dims) == 2 and table.data_type in TABLE_TYPES

    def has_weights(self, node: onnx.NodeProto) -> bool:
        """Whether one factor of a product is constant."""
        return any(node.input[at] in self.constant for at in FACTORS[node.op_type])

    def precision(self, node: onnx.NodeProto, arrays: Arrays) -> Precision:
        """INT8 for an integer product, or for two dequantized factors that a runtime will fuse into one."""
        if node.op_type in INTEGER or (node.op_type in FACTORS and self._dequantized(node)):
            return "int8"
        return PRECISIONS[str(arrays[node.output[0]].dtype)]

    def _dequantized(self, node: onnx.NodeProto) -> bool:
        makers = [self.made_by.get(node.input[at]) for at in FACTORS[node.op_type]]
        return all(maker is not None and maker.op_type == "DequantizeLinear" for maker in makers)

    def places(self) -> dict[str, Place]:
        """Kind and layer of every product, by the name of its output."""
        products = [node for node in self.nodes if self.is_product(node)]
        attention = [node for node in products if not self.has_weights(node)]
        contexts = [node.output[0] for node in attention if self._is_context(node)]
        layers, layer = len(contexts), 0
        places: dict[str, Place] = {}
        for node in attention:
            places[node.output[0]] = ("attention", layer) if layer < layers else ("head", None)
            for name in self._feeding(node) if layer < layers else ():
                places.setdefault(name, ("weights", layer))
            layer += node.output[0] in contexts
        depths = self._depths(contexts)
        rest = [node.output[0] for node in products if node.output[0] not in places]
        return places | _around(rest, depths, layers)

    def _is_context(self, node: onnx.NodeProto) -> bool:
        """Whether a product multiplies values by a softmax: the last product of a layer's attention."""
        maker = self.made_by.get(node.input[FACTORS[node.op_type][0]])
        while maker is not None and maker.op_type != "Softmax":
            if not maker.input or (self.is_product(maker) and not self.has_weights(maker)):
                return False
            maker = self.made_by.get(maker.input[0])
        return maker is not None

    def _feeding(self, node: onnx.NodeProto) -> list[str]:
        """Products with weights that feed a product of attention directly."""
        stack, seen, found = list(node.input), set(), []
        while stack:
            name = stack.pop()
            maker = self.made_by.get(name)
            if name in seen or maker is None or _is_aside(maker, name):
                continue
            seen.add(name)
            if not self.is_product(maker):
                stack += maker.input
            elif self.has_weights(maker):
                found.append(name)
        return found

    def _depths(self, contexts: Sequence[str]) -> dict[str, int]:
        """Number of layers' attention before each value, its own included."""
        depths: dict[str, int] = {}
        for node in self.nodes:
            depth = max((depths.get(name, 0) for name in node.input), default=0)
            depths |= dict.fromkeys(node.output, depth + (node.output[0] in contexts))
        return depths

    def values(self, names: Iterable[str], lengths: Iterable[int]) -> list[Arrays]:
        """Values inside the graph, for one text of each length."""
        wanted, graph = list(dict.fromkeys(names)), self.model.graph
        known = {value.name for value in graph.output}
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in known)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        providers = ["CPUExecutionProvider"]
        with tempfile.TemporaryDirectory() as folder:  # a session of bytes needs as much memory again
            path = Path(folder) / "graph.onnx"
            onnx.save(self.model, path)
            session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        results = []
        for length in lengths:
            shape = (1, length)
            given = {value.name: np.full(shape, value.name == "attention_mask", np.int64) for value in graph.input}
            results.append(dict(zip(wanted, session.run(wanted, given), strict=True)))
        return results


def _is_aside(maker: onnx.NodeProto, name: str) -> bool:
    """Whether a value only holds sizes or a quantization scale, and no data."""
    return maker.op_type in ("Shape", "Size") or (maker.op_type == "DynamicQuantizeLinear" and name != maker.output[0])


def _around(names: Sequence[str], depths: dict[str, int], layers: int) -> dict[str, Place]:
    """Kind and layer of products that neither are attention nor feed it, in graph order."""
    tail = sum(depths[name] == 1 for name in names) if layers > 1 else TAIL
    places: dict[str, Place] = {}
    for name in names:
        depth = depths[name]
        last = depth == layers and sum(place == ("weights", layers - 1) for place in places.values()) >= tail
        places[name] = ("embeddings", None) if not depth else ("head", None) if last else ("weights", depth - 1)
    return places


def _values(node: onnx.NodeProto) -> tuple[str, str]:
    """The values that determine a node's sizes: its first factor (for a lookup, its rows), and its output."""
    first = node.input[FACTORS[node.op_type][0]] if node.op_type in FACTORS else node.output[0]
    return first, node.output[0]


def _sizes(node: onnx.NodeProto, kind: Kind, arrays: Arrays) -> Sizes:
    """Batch, rows, inner dimension and columns."""
    first, made = (arrays[name] for name in _values(node))
    if kind == "lookup":
        # A bias for the distance between every two tokens looks up as many rows for each token.
        return prod(made.shape[:-2]), prod(made.shape[-2:-1]), 0, made.shape[-1]
    # Weights have no batch axis: all axes before the columns are rows.
    batch = prod(made.shape[:-2]) if kind == "attention" else 1
    rows = prod(made.shape[:-1]) // batch
    return batch, rows, first.size // (batch * rows), made.shape[-1]


def _per_token(short: Sizes, long: Sizes) -> list[tuple[int, int]]:
    """Match the sizes of both texts.

    Twice the length counts as two products: DeBERTa's distances before and after a token, of which it reads one per
    token of the text.
    """
    (batch, *sizes), (long_batch, *long_sizes) = short, long
    pairs = list(zip(sizes, long_sizes, strict=True))
    twice = tuple(2 * length for length in LENGTHS)
    doubled = 2 ** pairs.count((twice[0], twice[1]))
    return [(batch * doubled, long_batch * doubled), *(LENGTHS if pair == twice else pair for pair in pairs)]


def _dim(node: onnx.NodeProto, short: int, long: int) -> Dim:
    if short == long:
        return short
    if (short, long) == LENGTHS:
        return LENGTH
    raise RunError(
        f"{node.name}: a size goes from {short} to {long} for texts of {LENGTHS} tokens; it cannot be counted"
    )


def _joined(found: Sequence[tuple[int | None, tuple[Any, ...]]]) -> list[Product]:
    """Merge equal products of several layers, or of one layer, into one entry."""
    counts: dict[tuple[Any, ...], dict[int | None, int]] = {}
    for layer, sizes in found:
        times = counts.setdefault(sizes, {})
        times[layer] = times.get(layer, 0) + 1
    return [
        Product(kind, precision, tuple(at for at in times if at is not None and times[at] == each), each, *sizes)
        for (kind, precision, *sizes), times in counts.items()
        for each in dict.fromkeys(times.values())
    ]
