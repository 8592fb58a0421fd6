"""Costs that an export counts in its graph, compared with manual counts and with the work of ONNX Runtime."""

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebert.errors import RunError
from edgebert.exporters.cost import graph_cost
from edgebert.manifest import read_manifest
from edgebert.measure.process import run_child
from edgebert.runtime.cost import Product, by_layer, macs, parts, read_cost, standard_encoder

WIDTH, HEADS, FFN, LABELS = 32, 4, 64, 2
HEAD_SIZE = WIDTH // HEADS


def cost_of(bundle: Path) -> list[Product]:
    return read_cost(read_manifest(bundle))


def stage(built: Path, name: str) -> Path:
    return built.with_name(built.name + ".stages") / name


def kinds(products: list[Product], length: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in parts(products, [length]):
        found[row["kind"]] = found.get(row["kind"], 0) + row["macs"]
    return found


def layer_macs(n: int, width: int, attention: int, ffn: int, first_row: bool) -> tuple[int, int]:
    """Work of a layer by formula: with weights, and in attention; `attention` is the total width of its heads."""
    rows = 1 if first_row else n
    weights = rows * width * attention + 2 * n * width * attention + rows * attention * width + 2 * rows * width * ffn
    return weights, 2 * rows * n * attention


@pytest.mark.parametrize("length", [2, 17, 32])
def test_the_baseline_is_a_whole_encoder_and_its_head(length: int, built: Path) -> None:
    products = cost_of(stage(built, "0-baseline"))
    encoder = standard_encoder(3, WIDTH, HEADS, FFN, "fp32")
    assert macs(products, [length]) == macs(encoder, [length]) + WIDTH * WIDTH + WIDTH * LABELS
    assert {product.precision for product in products} == {"fp32"}
    layer = macs(encoder, [length]) // 3
    assert by_layer(products, length) == {0: layer, 1: layer, 2: layer, None: WIDTH * WIDTH + WIDTH * LABELS}
    # One row of words, positions and segments per token.
    lookups = [product for product in products if product.kind == "lookup"]
    assert sum(product.weight_bytes(length) for product in lookups) == 3 * length * WIDTH * 4


@pytest.mark.parametrize("length", [2, 17, 32])
def test_a_pruned_int8_bundle_has_what_was_left_and_one_row_in_its_last_layer(length: int, built: Path) -> None:
    products = cost_of(built)
    shapes = json.loads((built / "manifest.json").read_text())["layers"]
    expected = [
        layer_macs(length, WIDTH, shape["heads"] * HEAD_SIZE, shape["ffn"], first_row=at == 1)
        for at, shape in enumerate(shapes)
    ]
    assert kinds(products, length) == {
        "lookup": 0,
        "weights": sum(weights for weights, _ in expected),
        "attention": sum(attention for _, attention in expected),
        "head": WIDTH * WIDTH + WIDTH * LABELS,
    }
    assert [by_layer(products, length)[at] for at in (0, 1)] == [sum(pair) for pair in expected]
    precisions = {product.kind: product.precision for product in products if product.kind in ("weights", "attention")}
    assert precisions == {"weights": "int8", "attention": "fp32"}


def test_minilm_is_what_was_known_of_it() -> None:
    """The formula that the exported graphs are held to, at MiniLM's sizes with the last layer for [CLS] alone.

    It was known as 1.18 GMAC at 128 tokens; that is the weights' part, attention comes on top.
    """
    layers = [layer_macs(128, 384, 384, 1536, first_row=at == 5) for at in range(6)]
    assert sum(weights for weights, _ in layers) == pytest.approx(1.18e9, rel=0.01)
    assert sum(attention for _, attention in layers) == pytest.approx(0.063e9, rel=0.01)


def executed(bundle: Path, length: int) -> int:
    """Work of the matmuls that ONNX Runtime ran after its own optimizations, from the reported shapes."""
    job = {"bundle": str(bundle), "runtime": "onnxruntime", "threads": 1, "scenario": "operators", "batch_size": 1}
    answer = run_child({**job, "length": length, "warmup": 0, "samples": 1, "ids": [[5] * length]})
    rows = [row for row in answer["nodes"] if any(kind in row["op"] for kind in ("MatMul", "Gemm", "Attention"))]

    def shape(values: list[dict[str, Any]]) -> list[int]:
        return next(iter(values[0].values()))

    def work(row: dict[str, Any]) -> int:
        if row["op"] == "MultiHeadAttention":
            query, key = (shape(row["inputs"][at:]) for at in (0, 1))
            return 2 * prod(query) * key[1]
        return prod(shape(row["outputs"])) * shape(row["inputs"])[-1]

    assert all(row["count"] == round(row["count"]) for row in rows)
    return sum(int(row["count"]) * work(row) for row in rows)


@pytest.mark.parametrize("name", ["0-baseline", "2-distill", "bundle"])
def test_what_is_counted_is_what_is_executed(name: str, built: Path) -> None:
    bundle = built if name == "bundle" else stage(built, name)
    products = [product for product in cost_of(bundle) if product.kind != "lookup"]
    assert executed(bundle, 17) == macs(products, [17]) > 100_000


def make_graph(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], outputs: list[str], path: Path) -> Path:
    constants = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", inputs, made, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


TABLE = np.ones((10, 4), np.float32)


def test_a_low_rank_table_is_a_lookup_and_a_product_before_the_layers(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "wide"], ["out"]),
    ]
    path = make_graph(nodes, {"table": TABLE, "wide": np.ones((4, 6), np.float32)}, ["out"], tmp_path / "g.onnx")
    assert graph_cost(path) == [
        Product("lookup", "fp32", (), 1, 1, "n", 0, 4),
        Product("embeddings", "fp32", (), 1, 1, "n", 4, 6),
    ]


def test_two_dequantized_factors_are_an_int8_product_and_one_is_not(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("QuantizeLinear", ["rows", "scale", "zero"], ["rows.int8"]),
        helper.make_node("DequantizeLinear", ["rows.int8", "scale", "zero"], ["rows.back"]),
        helper.make_node("DequantizeLinear", ["w.int8", "scale", "zero"], ["w"]),
        helper.make_node("MatMul", ["rows.back", "w"], ["both"]),
        helper.make_node("MatMul", ["rows", "w"], ["one"]),
    ]
    weights = {"table": TABLE, "w.int8": np.ones((4, 6), np.int8)}
    weights |= {"scale": np.array(0.5, np.float32), "zero": np.array(0, np.int8)}
    products = graph_cost(make_graph(nodes, weights, ["both", "one"], tmp_path / "g.onnx"))
    assert [product.precision for product in products if product.kind != "lookup"] == ["int8", "fp32"]


def test_a_size_that_is_neither_fixed_nor_the_length_is_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Concat", ["rows", "rows", "rows"], ["thrice"], axis=1),
        helper.make_node("MatMul", ["thrice", "wide"], ["out"], "tripled"),
    ]
    path = make_graph(nodes, {"table": TABLE, "wide": np.ones((4, 6), np.float32)}, ["out"], tmp_path / "g.onnx")
    with pytest.raises(RunError, match=r"tripled: a size goes from 6 to 9 for texts of \(2, 3\) tokens"):
        graph_cost(path)


def test_twice_the_length_is_two_products(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Concat", ["rows", "rows"], ["twice"], axis=1),
        helper.make_node("MatMul", ["twice", "wide"], ["out"]),
    ]
    path = make_graph(nodes, {"table": TABLE, "wide": np.ones((4, 6), np.float32)}, ["out"], tmp_path / "g.onnx")
    (product,) = [work for work in graph_cost(path) if work.kind != "lookup"]
    assert (product.batch, product.rows, product.inner, product.columns) == (2, "n", 4, 6)
    assert product.macs(10) == 20 * 4 * 6
