"""Common to every target: its name, the files that it receives, one line for an unknown target."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of, rewrite
from targets_helpers import make_variant

from edgebert.cli import main
from edgebert.errors import InputError, RunError
from edgebert.measure.environment import environment
from edgebert.measure.process import run_child
from edgebert.measure.targets import open_target
from edgebert.measure.targets.payload import bundle_files, data_files, device_half
from edgebert.measure.variants import Variant


def test_local_is_this_machine() -> None:
    with open_target("local", [], None, print) as machine:
        assert (machine.name, machine.child, machine.environment) == ("local", run_child, environment)
        assert not machine.emulated


def test_local_is_the_processor_for_a_bundle_of_a_gpu_too(bundle_copy: Path, manifest: dict[str, Any]) -> None:
    profile = manifest["profile"]
    gpu = {**profile, "export": {**profile["export"], "provider": "CUDAExecutionProvider"}}
    for_gpu, said = {**manifest, "profile": gpu}, list[str]()
    rewrite(bundle_copy, profile=gpu)
    variant = Variant("bundle", bundle_copy, manifest_of(for_gpu), "onnxruntime")
    job = {"bundle": str(bundle_copy), "runtime": "onnxruntime", "threads": 1, "warmup": 1, "samples": 2}
    job |= {"length": 0, "texts": ["a good film"], "batch_size": 1, "scenario": "offline"}
    with pytest.raises(RunError, match="CUDAExecutionProvider"):
        run_child(job)
    with open_target("local", [variant], None, said.append) as machine:
        assert machine.child(job)["total_ns"] > 0
    assert said == ["note: bundle: made for a GPU, measured on the CPU; --target cuda measures on the GPU"]


@pytest.mark.parametrize("name", ["", "here", "ssh", "ssh://", "qemu://", "qemu", "http://board", "cudas"])
def test_what_is_no_target_is_told(name: str) -> None:
    with pytest.raises(InputError) as caught, open_target(name, [], None, print):
        pass
    assert str(caught.value) == (
        f"unknown target {name!r}; expected local, cuda, cuda://tensorrt, ssh://[USER@]HOST[:PORT], qemu://CPU"
    )


def test_the_command_line_refuses_an_unknown_target_before_it_measures(
    built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(built), "--target", "moon", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith("edgebert: unknown target 'moon'; expected local, ")
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_result_is_told_before_it_measures(
    built: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("x")
    command = ["bench", str(built), "--data", str(data_dir / "validation.tsv"), "--out", str(tmp_path / "out")]
    assert main(command) == 2
    assert capsys.readouterr().err == f"edgebert: {tmp_path / 'out'}: a file, not a folder; give another --out\n"


def test_the_device_half_stands_alone(tmp_path: Path) -> None:
    files = device_half()
    assert {"edgebert/__init__.py", "edgebert/measure/child.py", "edgebert/tasks/fill_mask/predict.py"} <= set(files)
    assert not [name for name in files if name.startswith(("edgebert/compress", "edgebert/exporters"))]
    assert not [name for name in files if name.endswith("train.py") or "training" in name]
    for name, path in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(path.read_bytes())
    code = "from edgebert.tasks import table; import edgebert.runtime.quality, edgebert"
    code += "; [table.device_task(name) for name in table.task_names()]"
    code += "; import edgebert.measure.scenarios.answers, edgebert.measure.environment"
    code += "; import sys; print(edgebert.__file__, 'onnx' in sys.modules)"
    there = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert there.stdout.split() == [str(tmp_path / "edgebert" / "__init__.py"), "False"]


def test_a_bundle_of_two_variants_goes_there_once_and_whole(tmp_path: Path) -> None:
    first, second = make_variant(tmp_path / "a" / "tiny"), make_variant(tmp_path / "b" / "tiny")
    (first.folder / "notes.txt").write_text("no part of the bundle")
    files, places = bundle_files([first, second, first])
    assert places == {str(first.folder): "bundles/0", str(second.folder): "bundles/1"}
    names = ("manifest.json", "model.onnx", "openvino/model.xml", "tokenizer.json")
    assert sorted(files) == [f"bundles/{at}/{name}" for at in (0, 1) for name in names]
    assert files["bundles/1/model.onnx"] == second.folder / "model.onnx"


def test_a_data_set_of_three_files_goes_there_together(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("seq.in", "seq.out", "label"):
        (folder / name).write_text("x\n")
    files, places = data_files(folder / "seq.in")
    assert files == {f"data/dev/{name}": folder / name for name in ("seq.in", "seq.out", "label")}
    assert places == {str(folder / "seq.in"): "data/dev/seq.in"}
    assert data_files(folder)[1] == {str(folder): "data/dev"}
    (tmp_path / "other.tsv").write_text("x\n")
    files, places = data_files(folder / ".." / "other.tsv")
    assert list(files) == [places[str(tmp_path / "other.tsv")]]


def test_a_child_tells_its_environment() -> None:
    told, here = run_child({"scenario": "environment"}), environment()
    assert told.keys() == here.keys()
    assert (told["cpu"], told["versions"], told["flags"]) == (here["cpu"], here["versions"], here["flags"])
