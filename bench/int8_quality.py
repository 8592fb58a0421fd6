"""Measure how the options of INT8 change quality: one fine-tuned model, quantized with each option, on held-out splits.

    .venv/bin/python -m bench.int8_quality RECIPE --model FOLDER --data-dir DIR --out bench/results/DATE-int8-quality

The model is any folder with the task's head, such as a finetune or distill folder of OUT.work. For each option an
export only quantizes, so that the figures are those of real bundles. Finished bundles stay in OUT/work. No latency is
measured. Writes quality.json and quality.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from edgebert.pipeline import build
from edgebert.recipe import QuantizeSettings, Recipe, read_recipe
from edgebert.target import read_target

SEVEN_BITS, EIGHT_BITS = "x86-avx2", "x86-avx512-vnni"
METHODS = ("minmax", "percentile", "entropy", "mse")
FORMS = {
    "FP32": (SEVEN_BITS, {"format": "none"}),
    "dynamic, seven bits": (SEVEN_BITS, {"format": "dynamic"}),
    "dynamic, seven bits, smooth 0.5": (SEVEN_BITS, {"format": "dynamic", "smooth": 0.5}),
    "dynamic, seven bits, FP32 tables": (SEVEN_BITS, {"format": "dynamic", "embeddings": "fp32"}),
    "dynamic, eight bits": (EIGHT_BITS, {"format": "dynamic"}),
    "dynamic, eight bits, smooth 0.5": (EIGHT_BITS, {"format": "dynamic", "smooth": 0.5}),
    **{f"static, {method}": (SEVEN_BITS, {"format": "static", "calibration": method}) for method in METHODS},
    **{
        f"static, {method}, smooth 0.5": (SEVEN_BITS, {"format": "static", "calibration": method, "smooth": 0.5})
        for method in ("minmax", "percentile")
    },
}
# Options for which an OpenVINO graph is written too. Entropy is left out: nncf uses minmax for it.
OPENVINO = {"static, minmax", "static, percentile", "static, mse", "static, minmax, smooth 0.5"}


def export(name: str, recipe: Recipe, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Table rows of one option: the ONNX graph, and the OpenVINO graph if it is written too."""
    profile, settings = FORMS[name]
    formats = ("onnx", "openvino") if name in OPENVINO else ("onnx",)
    out, work = arguments.out / "work" / "bundle", arguments.out / "work" / "stages"
    chosen = replace(
        recipe,
        quantize=replace(recipe.quantize, **settings),
        export=replace(recipe.export, formats=formats, stages=False, baseline=False),
    )
    built = build(chosen, read_target(profile), str(arguments.model), arguments.data_dir, out, work)
    last = built.done[-1].report.metrics
    shutil.rmtree(out)
    rows = [row(name, last, last.get("agreement") or last["parity"])]
    if "openvino" in last:
        told = last["openvino"]
        rows.append(row(f"OpenVINO, {told['calibration']}, smooth {told['smooth']}", told, told["agreement"]))
    return rows


def row(name: str, metrics: dict[str, Any], agreement: dict[str, Any]) -> dict[str, Any]:
    quality = {
        split: {key: found[key] for key in ("value", "n", "ci_low", "ci_high")}
        for split, found in metrics["quality"].items()
    }
    return {
        "form": name,
        "quality": quality,
        "agreement": agreement["agreement"],
        "largest_difference": agreement["max_difference"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    splits = list(rows[0]["quality"])
    head = ["form", *splits, "labels as PyTorch's", "largest difference"]
    lines = [head, ["---"] * len(head)]
    for found in rows:
        figures = [f"{found['quality'][split]['value']:.4f}" for split in splits]
        lines.append([found["form"], *figures, f"{found['agreement']:.1%}", f"{found['largest_difference']:.2g}"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="folder of the fine-tuned model")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.recipe)
    untrained = {"finetune": None, "distill": None, "prune": None, "vocabulary": None}
    recipe = replace(recipe, **untrained, quantize=QuantizeSettings(samples=recipe.quantize.samples))
    rows: list[dict[str, Any]] = []
    for name in tqdm(FORMS, unit="form"):
        rows += export(name, recipe, arguments)
        document = {"recipe": arguments.recipe.name, "model": arguments.model.name, "rows": rows}
        (arguments.out / "quality.json").write_text(json.dumps(document, indent=1) + "\n")
        (arguments.out / "quality.md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
