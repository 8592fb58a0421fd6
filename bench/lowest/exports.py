"""Export a bundle of each kind from a tiny seeded model, and record its answers for answers.py.

python bench/lowest/exports.py FOLDER [KIND ...]
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

import conftest

from edgebert.cli import main as edgebert_main

SHORT = ("finetune.epochs=1", "distill.epochs=0.5", "prune.recover.epochs=0.3")
ONNX = 'export.formats=["onnx"]'
# The steps of each kind in addition to fine-tuning, distillation and pruning.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "dynamic": ("x86-avx2", ()),  # ONNX Runtime's quantizer, nncf
    "static": ("x86-avx2", ("quantize.format=static", "quantize.calibration=entropy", ONNX)),  # neural-compressor
    "qat": ("x86-avx2", ("quantize.recover.epochs=0.3", "quantize.max_drop=0.5", ONNX)),
    "fp16": ("nvidia-t4", ("quantize.format=fp16", ONNX)),
    "fp32": ("x86-avx2", ("quantize.format=none",)),  # OpenVINO's reader
    "plain": ("x86-avx2", ("quantize.format=none", "export.graph=plain", ONNX)),
}


def main(arguments: list[str]) -> int:
    """Export the named kinds, or all of them. Returns 1 if any export fails."""
    folder = Path(arguments[0])
    recipe = write_inputs(folder)
    failed = [kind for kind in arguments[1:] or KINDS if not export(kind, folder, recipe)]
    print(f"exports: {', '.join(failed)} failed" if failed else "exports: all done", flush=True)
    return int(bool(failed))


def write_inputs(folder: Path) -> Path:
    """Make checkpoint, data and recipe in the same way as the tests."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name, rows, seed in (("train", 96, 1), ("validation", 64, 2), ("test", 64, 3)):
        conftest.write_tsv(folder / "data" / f"{name}.tsv", rows, seed)
    checkpoint = conftest.make_checkpoint(folder / "checkpoint")
    recipe = folder / "tiny.toml"
    recipe.write_text(conftest.RECIPE.replace("CHECKPOINT", str(checkpoint)))
    return recipe


def export(kind: str, folder: Path, recipe: Path) -> bool:
    """Export one kind and record its answers. Returns whether this succeeded."""
    profile, settings = KINDS[kind]
    start = time.monotonic()
    changes = [part for setting in (*SHORT, *settings) for part in ("--set", setting)]
    places = ["--data-dir", str(folder / "data"), "--out", str(folder / kind), "--work", str(folder / "work")]
    code = edgebert_main(["export", str(recipe), "--profile", profile, *places, *changes])
    print(f"export {kind}: exit code {code}, {time.monotonic() - start:.0f} s", flush=True)
    if code == 0 and kind != "fp16":  # the bundle of this kind needs a GPU
        (folder / f"{kind}.json").write_text(json.dumps(answers(folder / kind, folder / "data" / "test.tsv")))
    return code == 0


def answers(bundle: Path, data: Path) -> dict[str, list[list[float]]]:
    """Score every text of a TSV file on each runtime for which the bundle has a graph."""
    import edgebert

    texts = [line.split("\t")[0] for line in data.read_text().splitlines()[1:]]
    found = {}
    for runtime in json.loads((bundle / "manifest.json").read_text())["runtime"]["graphs"]:
        model = edgebert.load(bundle, runtime=runtime)
        found[runtime] = [[float(score) for score in model(text).scores.values()] for text in texts]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
