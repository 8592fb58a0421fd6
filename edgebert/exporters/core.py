"""Write the native core's model file: the encoder of `exporters.inference`, with INT8 matrix products."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgebert.compress.low_rank import LowRankEmbedding
from edgebert.exporters.core_file import NOTHING, CoreFile, Floats, Int8Columns, filled
from edgebert.exporters.core_heads import Head, Product, read_head
from edgebert.exporters.core_matrices import Matrices, NotCoveredError, activation_number, numbers
from edgebert.exporters.inference import InferenceModel, Layer, Rescale

CORE = "core.bin"


@dataclass(frozen=True)
class CoreOrder:
    """Options of a model file.

    Attributes:
        first_row_only: Whether the heads read only the [CLS] row, so that the last layer computes no other.
        max_length: Longest input in tokens.
        largest: Largest INT8 weight: 127, or 64 for seven bits.
        leave: Matrix products to leave in FP32, named as in `exporters.quantize.products.weight_products`.
        int8_words: Whether the word table is INT8 too.
        for_avx2: Whether to add the tables of the AVX2 kernel; without them they are made when the file is opened.
    """

    first_row_only: bool
    max_length: int
    largest: int = 127
    leave: Collection[str] = ()
    int8_words: bool = True
    for_avx2: bool = False


def write_core(module: nn.Module, order: CoreOrder, out: Path) -> None:
    """Write a model file.

    Args:
        module: The model rewritten for inference.
        order: Options of the file.
        out: The file.

    Raises:
        NotCoveredError: The core cannot run the model; the message gives the reason.
    """
    if not isinstance(module, InferenceModel):
        raise NotCoveredError("layers of this family cannot be rewritten")
    _Writer(module, order).file().write(out)


def product_names(module: nn.Module) -> list[str]:
    """Names of the INT8 matrix products, as in `exporters.quantize.products.weight_products`.

    Raises:
        NotCoveredError: The core cannot run the model.
    """
    if not isinstance(module, InferenceModel):
        return []
    parts = [f"attention.{name}" for name in ("query", "key", "value")]
    parts += [f"tail.{name}" for name in ("attention_output", "ffn_in", "ffn_out")]
    layers = [*(f"layers.{at}" for at in range(len(module.layers))), "last"]
    steps = [step for head in read_head(module.head) for step in head.steps]
    heads = [step.name for step in steps if isinstance(step, Product) and not step.is_full]
    return [*(f"{layer}.{part}" for layer in layers for part in parts), *heads]


class _Writer:
    """Builds the description of one model. Matrices come first in the file, so they are collected first."""

    def __init__(self, module: InferenceModel, order: CoreOrder) -> None:
        self.module, self.order = module, order
        self.matrices = Matrices(order.largest, order.leave, order.for_avx2)
        self.layers = module.encoder_layers()

    def file(self) -> CoreFile:
        """Return the complete description."""
        rest = CoreFile()
        norm = self.layers[0].tail.attention_norm
        hidden = norm.normalized_shape[0]
        rest.number(hidden, self.order.max_length)
        rest.real(_same_eps([self.module.embeddings.norm, *self._norms()]))
        self._embeddings(rest)
        rest.number(len(self.layers), int(self.order.first_row_only))
        for at, layer in enumerate(self.layers):
            self._layer(rest, layer, f"layers.{at}" if at < len(self.layers) - 1 else "last")
        heads = read_head(self.module.head)
        rest.number(len(heads))
        for head in heads:
            self._head(rest, head)
        return self.matrices.before(rest)

    def _norms(self) -> list[nn.LayerNorm]:
        return [norm for layer in self.layers for norm in (layer.tail.attention_norm, layer.tail.ffn_norm)]

    def _embeddings(self, file: CoreFile) -> None:
        parts = self.module.embeddings
        words = parts.words
        low_rank = words if isinstance(words, LowRankEmbedding) else None
        table = numbers(low_rank.table.weight if low_rank else words.get_parameter("weight"))
        positions = numbers(parts.positions)
        types = None if parts.types is None else numbers(parts.types.weight)
        file.number(table.shape[0], table.shape[1], positions.shape[1], positions.shape[0])
        file.number(1 if types is None else types.shape[0])
        file.number(NOTHING if parts.padding_id is None else parts.padding_id)
        file.number(int(self.order.int8_words))
        if self.order.int8_words:
            rows = Int8Columns.rows(table)
            file.table(rows.values)
            file.tensor(rows.scale)
        else:
            file.table(table)
        file.number(self.matrices.full(low_rank.widen) if low_rank else NOTHING)
        file.table(positions)
        file.tensor(None if types is None else filled(types))
        _norm(file, parts.norm)
        file.number(NOTHING if parts.projection is None else self.matrices.full(parts.projection))

    def _layer(self, file: CoreFile, layer: Layer, name: str) -> None:
        attention, tail = layer.attention, layer.tail
        width = attention.query.out_features
        file.number(width // attention.head_size, attention.head_size, activation_number(tail.activation))
        parts = [attention.query, attention.key, attention.value]
        names = [f"{name}.attention.{part}" for part in ("query", "key", "value")]
        file.number(self.matrices.joined(parts, names, _factors(layer.attention_input)))
        file.number(self.matrices.int8(tail.attention_output, f"{name}.tail.attention_output", None))
        file.number(self.matrices.int8(tail.ffn_in, f"{name}.tail.ffn_in", _factors(tail.ffn_input)))
        file.number(self.matrices.int8(tail.ffn_out, f"{name}.tail.ffn_out", _factors(tail.ffn_middle)))
        _norm(file, tail.attention_norm)
        _norm(file, tail.ffn_norm)

    def _head(self, file: CoreFile, head: Head) -> None:
        file.number(len(head.poolings), *head.poolings, int(head.scalar), len(head.steps))
        for step in head.steps:
            step.write(file, self.matrices)


def _norm(file: CoreFile, norm: nn.LayerNorm) -> None:
    file.row(numbers(norm.weight))
    file.row(numbers(norm.bias))


def _factors(module: nn.Module) -> Floats | None:
    """Return the factors that smoothing multiplies a matmul's input by; None if there are none."""
    return numbers(module.factors) if isinstance(module, Rescale) else None


def _same_eps(norms: Sequence[nn.LayerNorm]) -> float:
    eps = {norm.eps for norm in norms}
    if len(eps) > 1:
        raise NotCoveredError(f"its norms have several epsilons ({', '.join(map(str, sorted(eps)))})")
    return float(eps.pop())
