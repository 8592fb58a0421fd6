"""Hand-made bundles, their variants, and a workload for them."""

from pathlib import Path

import pytest
from pretended_bench import SUITE, make_bundle

from edgebert.data.examples import Example
from edgebert.measure.variants import Variant, find_baseline, variants_of
from edgebert.measure.workload import Workload


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A hand-made bundle with its baseline and one stage bundle."""
    make_bundle(tmp_path / "tiny.stages" / "0-baseline", 4_000_000)
    make_bundle(tmp_path / "tiny.stages" / "1-graph", 4_000_000)
    return make_bundle(tmp_path / "tiny", 1_000_000)


@pytest.fixture
def variants(bundle: Path) -> list[Variant]:
    return variants_of([bundle], find_baseline(bundle, None), True, SUITE)


@pytest.fixture
def workload() -> Workload:
    examples = [Example(f"text {at}", None, "p" if at % 2 else "n", at + 2) for at in range(40)]
    return Workload(examples, Path("d.tsv"), "ab", [example.text for example in examples])
