"""Bundles with the native core: what export writes, refuses, guards and says."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from family_checkpoints import make_family
from manifests import SATURATES

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.cpu import this_cpu
from edgebert.errors import BundleError
from edgebert.exporters.guarded import Outcome
from edgebert.runtime.sessions import core
from edgebert.runtime.sessions.core import unusable

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(unusable()), reason=unusable())]

Export = Callable[..., tuple[int, Path]]
BLOCK, QUAD = 16, 4


def int8_matrices(file: Path) -> list[np.ndarray]:
    """Weights of every INT8 product of a model file, (inputs, outputs): read by the layout that the docs give."""
    data = file.read_bytes()
    tensors, words = struct.unpack_from("<II", data, 24)
    entries = [struct.unpack_from("<IIQQ", data, 64 + 24 * at) for at in range(tensors)]
    described = iter(struct.unpack_from(f"<{words}I", data, 64 + 24 * tensors))
    found = []
    for _ in range(next(described)):
        inputs, outputs, precision = (next(described) for _ in range(3))
        body = [next(described) for _ in range((2, 5, 12)[precision])]
        if not precision:
            continue
        _, _, offset, count = entries[body[0]]
        blocks = np.frombuffer(data, np.int8, count, offset).reshape(-1, -(-inputs // QUAD), BLOCK, QUAD)
        columns = blocks.transpose(1, 3, 0, 2).reshape(-(-inputs // QUAD) * QUAD, -1)
        assert not columns[inputs:].any()
        assert not columns[:, outputs:].any()
        found.append(columns[:inputs, :outputs])
    return found


def onnx_matrices(file: Path) -> dict[bytes, np.ndarray]:
    """INT8 matrices of a graph, by their bytes."""
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(file).graph.initializer]
    return {array.tobytes(): array for array in arrays if array.dtype == np.int8 and array.ndim == 2}


@SATURATES
def test_a_bundle_holds_both_and_answers_alike(core_bundle: Path, data_dir: Path) -> None:
    manifest = read_document(core_bundle)
    assert manifest["runtime"]["graphs"] == {"onnxruntime": "model.onnx", "core": "core.bin"}
    assert manifest["runtime"]["default"] == "core"
    assert "core.bin" in {entry["path"] for entry in manifest["files"]}
    made = manifest["stages"][-1]["metrics"]["core"]
    assert made["largest_weight"] == 127
    assert made["agreement"]["agreement"] >= 0.95, "of 64 texts, some near the middle"
    assert manifest["metrics"] == made["quality"]
    texts = [line.split("\t")[0] for line in (data_dir / "test.tsv").read_text().splitlines()[1:]]
    ours, theirs = (edgebert.load(core_bundle, runtime=name)(texts) for name in ("core", "onnxruntime"))
    assert sum(a.label == b.label for a, b in zip(ours, theirs, strict=True)) >= 0.95 * len(texts)
    if this_cpu().int8 not in ("avx2", "sse"):  # there ONNX Runtime's sums of eight-bit weights saturate
        assert [answer.score for answer in ours] == pytest.approx([answer.score for answer in theirs], abs=0.02)
    assert edgebert.load(core_bundle).runtime == "core"


@pytest.mark.parametrize(("profile", "largest"), [("x86-avx512-vnni", 127), ("x86-avx2", 64)])
def test_weights_are_those_of_the_onnx_graph(
    profile: str, largest: int, core_bundle: Path, export_core: Export
) -> None:
    bundle = core_bundle
    if profile != "x86-avx512-vnni":
        code, bundle = export_core(profile=profile)
        assert code == 0
    assert read_document(bundle)["stages"][-1]["metrics"]["core"]["largest_weight"] == largest
    theirs, ours = onnx_matrices(bundle / "model.onnx"), int8_matrices(bundle / "core.bin")
    # Three layers of four, and the pooler; queries, keys and values stand side by side.
    assert len(ours) == 3 * 4 + 1
    assert max(int(np.abs(matrix.astype(int)).max()) for matrix in ours) == largest
    for matrix in ours:
        parts = np.split(matrix, 3, axis=1) if matrix.shape == (32, 96) else [matrix]
        for part in parts:
            assert np.ascontiguousarray(part).tobytes() in theirs


def test_the_core_alone_is_the_smallest_bundle(
    core_bundle: Path, export_core: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    code, bundle = export_core('export.formats=["core"]')
    assert code == 0
    assert not list(bundle.glob("*.onnx"))
    assert (bundle / "core.bin").read_bytes() == (core_bundle / "core.bin").read_bytes()
    manifest = read_document(bundle)
    assert manifest["runtime"]["graphs"] == {"core": "core.bin"}
    assert manifest["runtime"]["default"] == "core"
    card = (bundle / "README.md").read_text()
    assert "only EdgeBERT's native core" in card
    assert "run the graph without EdgeBERT" not in card
    assert edgebert.load(bundle)("a lovely film").label == "pos"
    with pytest.raises(BundleError, match="no graph for runtime 'onnxruntime'; this bundle has core"):
        edgebert.load(bundle, runtime="onnxruntime")
    capsys.readouterr()
    assert main(["inspect", str(bundle)]) == 0
    page = capsys.readouterr().out
    assert re.search(r"^runtime +core$", page, re.MULTILINE)
    assert f"kernel {core.kernel_names()[0]} on this CPU" in page


def test_the_card_names_the_runtimes(core_bundle: Path) -> None:
    assert "- Runtimes: core, onnxruntime; core is the default" in (core_bundle / "README.md").read_text()


def refused(code: int, capsys: pytest.CaptureFixture[str]) -> str:
    assert code == 2
    err = capsys.readouterr().err
    (line,) = [line for line in err.splitlines() if line.startswith("edgebert: ")]
    assert "Traceback" not in err
    return line


@pytest.mark.parametrize("form", ["none", "fp16"])
def test_the_core_alone_has_no_full_precision(
    form: str, export_core: Export, capsys: pytest.CaptureFixture[str]
) -> None:
    code, bundle = export_core('export.formats=["core"]', f"quantize.format={form}")
    assert "export.formats has only core, which needs INT8" in refused(code, capsys)
    assert not bundle.exists()


def test_full_precision_beside_the_core_is_onnx_alone(export_core: Export) -> None:
    code, bundle = export_core("quantize.format=none")
    assert code == 0
    assert read_document(bundle)["runtime"]["graphs"] == {"onnxruntime": "model.onnx"}
    assert edgebert.load(bundle).runtime == "onnxruntime"


def test_without_the_library_an_export_ends_before_any_work(
    export_core: Export, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    core.library.cache_clear()
    monkeypatch.setattr(core, "LIBRARY", tmp_path / "no-library.so")
    try:
        code, bundle = export_core()
    finally:
        core.library.cache_clear()
    assert "the native core is not in this installation (no-library.so)" in refused(code, capsys)
    assert not bundle.exists()


def test_a_family_that_is_not_covered_keeps_the_onnx_graph(
    data_dir: Path, core_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_family(tmp_path / "mobilebert", "mobilebert", "")
    command = ["export", str(core_recipe), "--data-dir", str(data_dir), "--profile", "x86-avx512-vnni"]
    command += ["--model", str(model), "--out", str(tmp_path / "out"), "--set", "finetune.epochs=0.1"]
    command += ["--set", 'finetune.precision="fp32"']
    assert "export.formats has only core, which does not run mobilebert layers" in refused(
        main([*command, "--set", 'export.formats=["core"]']), capsys
    )
    assert main(command) == 0
    assert "core: it has no graph of this model: layers of this family cannot be rewritten" in capsys.readouterr().err
    assert read_document(tmp_path / "out")["runtime"]["graphs"] == {"onnxruntime": "model.onnx"}
    assert main(["inspect", str(tmp_path / "out")]) == 0
    assert "does not run this model: layers of this family cannot be rewritten" in capsys.readouterr().out


def test_the_loss_holds_in_the_core_too(export_core: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quality stands in for the error here, so that INT8 costs something on a model as small as this one."""
    first: dict[Path, float] = {}

    def quality(self: Outcome, graph: Path) -> float:
        if graph == self.full:
            return 1.0
        return 1.0 - self.error(graph) / first.setdefault(graph, self.error(graph))

    monkeypatch.setattr(Outcome, "quality", quality)
    code, bundle = export_core("quantize.max_drop=0.5")
    assert code == 0
    guard = read_document(bundle)["stages"][-1]["metrics"]["core"]["guard"]
    assert guard["tried"][0]["quality"] == 0.0
    assert 0 < len(guard["kept"]) < len(guard["cost"])
    assert [row["quality"] >= 0.5 for row in guard["tried"]] == [False] * len(guard["kept"]) + [True]
    kept = {name.rsplit(".", 1)[0] if ".attention." in name else name for name in guard["kept"]}
    assert len(int8_matrices(bundle / "core.bin")) == 3 * 4 + 1 - len(kept)
    assert edgebert.load(bundle, runtime="core")("a lovely film").label == "pos"


def test_the_core_is_measured_among_the_others(export_core: Export) -> None:
    code, bundle = export_core("quantize.format=measure")
    assert code == 0
    manifest = read_document(bundle)
    (stage,) = [stage for stage in manifest["stages"] if stage["stage"] == "choose"]
    rows = [row for row in stage["metrics"]["tried"] if row["runtime"] == "core"]
    assert [row["form"] for row in rows] == ["dynamic"]
    assert rows[0]["p50_ms"] > 0
    assert 0 < rows[0]["error"] < 0.2
    assert manifest["runtime"]["default"] == stage["metrics"]["chosen"]["runtime"]
