"""Cost: multiply-accumulates and bytes from a manifest's list of matmuls, compared with manual counts."""

import pytest
from manifests import manifest_of

from edgebert.runtime.cost import (
    Product,
    by_layer,
    cost_entries,
    macs,
    main_precision,
    parts,
    read_cost,
    standard_encoder,
)

WEIGHTS = Product("weights", "int8", (0, 2), 1, 1, "n", 8, 24)
SCORES = Product("attention", "fp32", (0, 2), 1, 2, "n", 4, "n")
WORDS = Product("lookup", "int8", (), 1, 1, "n", 0, 8)
HEAD = Product("head", "fp32", (), 2, 1, 1, 8, 3)
ALL = [WORDS, WEIGHTS, SCORES, HEAD]


@pytest.mark.parametrize(
    ("product", "count", "macs", "weight_bytes", "activation_bytes"),
    [
        (WEIGHTS, 2, 2 * 5 * 8 * 24, 2 * 8 * 24, 2 * (5 * 8 + 5 * 24 * 4)),
        (SCORES, 2, 2 * 2 * 5 * 4 * 5, 0, 2 * 2 * (5 * 4 + 4 * 5 + 5 * 5) * 4),
        (WORDS, 1, 0, 5 * 8, 0),
        (HEAD, 2, 2 * 8 * 3, 2 * 8 * 3 * 4, 2 * (8 + 3) * 4),
        (Product("weights", "fp16", (0,), 1, 1, 1, 8, 4), 1, 32, 64, 2 * (8 + 4)),
    ],
)
def test_work_and_bytes_of_a_text_of_five_tokens(
    product: Product, count: int, macs: int, weight_bytes: int, activation_bytes: int
) -> None:
    assert (product.count, product.macs(5)) == (count, macs)
    assert (product.weight_bytes(5), product.activation_bytes(5)) == (weight_bytes, activation_bytes)
    assert product.bytes(5) == weight_bytes + activation_bytes


def test_products_come_back_from_a_manifest_as_they_went_in() -> None:
    assert read_cost(manifest_of(cost=cost_entries(ALL))) == ALL
    assert read_cost(manifest_of()) == []


def test_keys_of_a_later_version_are_ignored() -> None:
    assert read_cost(manifest_of(cost=[{**entry, "sparsity": 0.5} for entry in cost_entries(ALL)])) == ALL


def test_windows_of_a_long_text_add_up() -> None:
    assert macs(ALL, [5, 7]) == sum(product.macs(5) + product.macs(7) for product in ALL)


def test_layers_and_parts_share_out_the_same_work() -> None:
    assert by_layer(ALL, 5) == {0: 960 + 200, 2: 960 + 200, None: 48}
    rows = parts(ALL, [5])
    assert [(row["kind"], row["precision"], row["macs"]) for row in rows] == [
        ("lookup", "int8", 0),
        ("weights", "int8", 1920),
        ("attention", "fp32", 400),
        ("head", "fp32", 48),
    ]
    assert sum(row["weight_bytes"] + row["activation_bytes"] for row in rows) == sum(each.bytes(5) for each in ALL)


def test_the_main_precision_is_that_of_most_work() -> None:
    assert main_precision(ALL, [5]) == "int8"
    # Attention grows with the square of the length.
    assert main_precision(ALL, [100]) == "fp32"


def test_bert_base_is_what_its_paper_makes_it() -> None:
    """12 layers of 7,077,888 weights (85 million), and two products of attention of n x n x 768."""
    encoder = standard_encoder(layers=12, width=768, heads=12, ffn=3072, precision="int8")
    assert sum(product.weight_bytes(1) for product in encoder) == 12 * 7_077_888 == 84_934_656
    assert macs(encoder, [128]) == 12 * (128 * 7_077_888 + 2 * 128 * 128 * 768)
