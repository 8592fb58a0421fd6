"""Tables of the AVX2 kernel in a model file: made by the library, and refused if they do not fit."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from core_runs import Tables, make_runs, with_runs
from family_checkpoints import make_family

from edgebert.compress import checkpoint
from edgebert.errors import BundleError
from edgebert.exporters.core import CoreOrder, write_core
from edgebert.exporters.core_file import BLOCK
from edgebert.exporters.inference import InferenceModel
from edgebert.runtime.encode import Encoded
from edgebert.runtime.sessions.core import CoreSession, kernel_names, unusable
from edgebert.tasks.training_table import training_task

pytestmark = pytest.mark.skipif(bool(unusable()), reason=unusable())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, ...]]:
    """A model file without runs, and the names of its inputs."""
    folder = tmp_path_factory.mktemp("runs")
    training = training_task("similarity", {})
    model = checkpoint.load_model(make_family(folder / "bert", "bert"), "similarity", []).eval()
    module = InferenceModel(model, training.head(model), training.rows, 1, 32).eval()
    write_core(module, CoreOrder(training.rows == "first", 32), folder / "core.bin")
    return folder / "core.bin", module.inputs


@pytest.mark.parametrize("kernel", kernel_names() if not unusable() else [])
def test_runs_of_the_file_change_no_answer(kernel: str, plain: tuple[Path, tuple[str, ...]], tmp_path: Path) -> None:
    file, inputs = plain
    assert with_runs(file, tmp_path / "core.bin") > 0
    texts = [Encoded(list(range(5, 5 + length)), [0] * length) for length in (1, 2, 7, 30)]
    before = CoreSession(file, 1, inputs, (), kernel).run_ragged(texts)
    after = CoreSession(tmp_path / "core.bin", 1, inputs, (), kernel).run_ragged(texts)
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one[0], other[0])


def test_an_export_for_avx2_has_the_tables(tmp_path: Path, plain: tuple[Path, tuple[str, ...]]) -> None:
    training = training_task("similarity", {})
    model = checkpoint.load_model(make_family(tmp_path / "bert", "bert"), "similarity", []).eval()
    module = InferenceModel(model, training.head(model), training.rows, 1, 32).eval()
    write_core(module, CoreOrder(training.rows == "first", 32, for_avx2=True), tmp_path / "core.bin")
    with_runs(plain[0], tmp_path / "again.bin")
    assert (tmp_path / "core.bin").stat().st_size == (tmp_path / "again.bin").stat().st_size > plain[0].stat().st_size
    text = Encoded([5, 6, 7, 8], [0] * 4)
    for kernel in kernel_names():
        answers = [
            CoreSession(file, 1, plain[1], (), kernel).run_ragged([text])[0][0]
            for file in (tmp_path / "core.bin", plain[0])
        ]
        assert np.array_equal(*answers)


def twice(tables: Tables) -> None:
    """Sum one quad twice, and another never."""
    tables["order"][0] = tables["order"][1]


def beyond(tables: Tables) -> None:
    """Sum a quad of the next block."""
    tables["order"][-1] = 65532


def endless(tables: Tables) -> None:
    """A run without entries would never end."""
    tables["block"][0, 3] = 0


def outside(tables: Tables) -> None:
    """Offsets behind the last ones."""
    tables["block"][-1, 1] += 1


@pytest.mark.parametrize("change", [twice, beyond, endless, outside])
def test_wrong_runs_are_refused(
    change: Callable[[Tables], None], plain: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    with_runs(plain[0], tmp_path / "core.bin", change)
    with pytest.raises(BundleError, match="the runs of a matrix do not sum it"):
        CoreSession(tmp_path / "core.bin", 1, plain[1], (), None)


def test_runs_are_proven_for_the_largest_activations() -> None:
    """No 16-bit sum of a run leaves its range, whatever the activations are."""
    weights = np.clip(np.random.default_rng(1).normal(0, 40, (96, 16, 4)), -128, 127).astype(np.int8)
    for most in (255, 127):
        tables = make_runs(weights, 384, 16, most)
        _, _, entries, shape = (int(word) for word in tables["block"][0])
        length, masked = shape & 0xFFFF, shape >> 16
        # Two lanes a column; unpacking takes bytes 0-7 and 16-23 for the first 16 lanes.
        offsets = tables["offsets"].astype(int).reshape(-1, 2, 2, 8).transpose(0, 2, 1, 3).reshape(-1, BLOCK, 2) * 256
        for group, first in enumerate(range(0, entries, length)):
            chosen = tables["order"][first : min(first + length, entries)]
            part = chosen & 3 if masked else np.full(len(chosen), 3)
            mask = np.stack([part & 1, part >> 1], axis=-1)[:, None, None]
            pairs = weights[chosen >> 2].astype(int).reshape(-1, BLOCK, 2, 2) * mask
            high, low = (np.clip(pairs * sign, 0, None).sum(-1) * most for sign in (1, -1))
            assert high.max() <= 32767
            assert low.max() <= 32768
            assert (offsets[group] + high.sum(0)).max() <= 32767
            assert (offsets[group] - low.sum(0)).min() >= -32768
