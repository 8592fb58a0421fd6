"""Cost of one inference: multiply-accumulates and bytes of a graph's matrix products and table lookups.

A bundle's manifest lists them under `cost`, as the exporter counted them in the ONNX graph. This module computes the
cost for an input of a given number of tokens. It leaves out norms, softmax, activations, biases and the quantization of
activations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypedDict

from edgebert.manifest import Manifest
from edgebert.strict_json import Json

LENGTH = "n"
ITEM_BYTES = {"int8": 1, "fp16": 2, "fp32": 4}
RESULT_BYTES = {"int8": 4, "fp16": 2, "fp32": 4}

Dim = int | str
Kind = Literal["embeddings", "lookup", "weights", "attention", "head"]
Precision = Literal["int8", "fp16", "fp32"]


@dataclass(frozen=True)
class Product:
    """Equal matrix products: (rows x inner) by (inner x columns), `batch` of them, for a batch of one text.

    A dimension is a number, or "n" for the text's tokens. A lookup multiplies nothing: its inner dimension is 0, and it
    reads `batch` times `rows` rows of `columns` items.

    Attributes:
        kind: `weights` and `attention` of the layers, `embeddings` before them, `head` after them, or `lookup`.
        precision: Precision of the two factors; INT8 products are summed in 32 bits.
        layers: Layers that have it, counted from 0; empty outside the layers.
        each: Number of these products in each layer.
        batch: Number of products computed side by side: attention heads, tokens for a distance bias, two for distances
            before and after, else 1.
        rows: Rows of the first factor.
        inner: The dimension that is summed over.
        columns: Columns of the second factor.
    """

    kind: Kind
    precision: Precision
    layers: tuple[int, ...]
    each: int
    batch: Dim
    rows: Dim
    inner: Dim
    columns: Dim

    @property
    def count(self) -> int:
        """Number of these products in the whole graph."""
        return self.each * max(1, len(self.layers))

    def macs(self, length: int) -> int:
        """Multiply-accumulates of all these products."""
        batch, rows, inner, columns = self._sizes(length)
        return self.count * batch * rows * inner * columns

    def weight_bytes(self, length: int) -> int:
        """Bytes of constants that are read: every weight once, and of a table only the rows looked up."""
        batch, rows, inner, columns = self._sizes(length)
        read = {"lookup": batch * rows * columns, "attention": 0}.get(self.kind, inner * columns)
        return self.count * read * ITEM_BYTES[self.precision]

    def activation_bytes(self, length: int) -> int:
        """Bytes of all other inputs and outputs, every value once per product."""
        batch, rows, inner, columns = self._sizes(length)
        if self.kind == "lookup":
            return 0
        given = rows * inner + (inner * columns if self.kind == "attention" else 0)
        made = rows * columns
        return self.count * batch * (given * ITEM_BYTES[self.precision] + made * RESULT_BYTES[self.precision])

    def bytes(self, length: int) -> int:
        """Bytes read and written, for weights and activations."""
        return self.weight_bytes(length) + self.activation_bytes(length)

    def _sizes(self, length: int) -> tuple[int, int, int, int]:
        batch, rows, inner, columns = (
            length if dim == LENGTH else int(dim) for dim in (self.batch, self.rows, self.inner, self.columns)
        )
        return batch, rows, inner, columns


class Work(TypedDict):
    """Total cost of the products of one kind and precision."""

    kind: Kind
    precision: Precision
    macs: int
    weight_bytes: int
    activation_bytes: int


def read_cost(manifest: Manifest) -> list[Product]:
    """Read the products of a bundle's graph; empty for old bundles without them."""
    return [
        Product(work.kind, work.precision, work.layers, work.each, work.batch, work.rows, work.inner, work.columns)
        for work in manifest.cost
    ]


def cost_entries(products: Iterable[Product]) -> list[dict[str, Json]]:
    """Convert products to the form of a manifest."""
    return [{**asdict(product), "layers": list(product.layers)} for product in products]


def macs(products: Iterable[Product], windows: Iterable[int]) -> int:
    """Multiply-accumulates of one text, from the number of tokens of each window."""
    chosen = list(products)
    return sum(product.macs(length) for length in windows for product in chosen)


def main_precision(products: Iterable[Product], windows: Sequence[int]) -> Precision:
    """The precision of most multiply-accumulates."""
    chosen = list(products)
    found = dict.fromkeys(product.precision for product in chosen if product.kind != "lookup")
    return max(found, key=lambda name: macs((each for each in chosen if each.precision == name), windows))


def parts(products: Iterable[Product], windows: Sequence[int]) -> list[Work]:
    """Multiply-accumulates and bytes by kind and precision, in graph order."""
    rows: dict[tuple[str, str], Work] = {}
    for product in products:
        kind, precision = product.kind, product.precision
        row = rows.setdefault(
            (kind, precision),
            {"kind": kind, "precision": precision, "macs": 0, "weight_bytes": 0, "activation_bytes": 0},
        )
        for length in windows:
            row["macs"] += product.macs(length)
            row["weight_bytes"] += product.weight_bytes(length)
            row["activation_bytes"] += product.activation_bytes(length)
    return list(rows.values())


def by_layer(products: Iterable[Product], length: int) -> dict[int | None, int]:
    """Multiply-accumulates of every layer; the key None holds those before and after the layers."""
    found: dict[int | None, int] = {}
    for product in products:
        for layer in product.layers or (None,):
            found[layer] = found.get(layer, 0) + product.macs(length) * product.each // product.count
    return dict(sorted(found.items(), key=lambda item: (item[0] is None, item[0] or 0)))


def standard_encoder(layers: int, width: int, heads: int, ffn: int, precision: Precision) -> list[Product]:
    """Products of a BERT encoder as in its paper (Devlin 2019): every layer over every row, without a head."""
    every = tuple(range(layers))

    def weights(each: int, inner: int, columns: int) -> Product:
        return Product("weights", precision, every, each, 1, LENGTH, inner, columns)

    return [
        weights(4, width, width),
        Product("attention", precision, every, 1, heads, LENGTH, width // heads, LENGTH),
        Product("attention", precision, every, 1, heads, LENGTH, LENGTH, width // heads),
        weights(1, width, ffn),
        weights(1, ffn, width),
    ]
