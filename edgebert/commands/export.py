"""`edgebert export`: a recipe in, a bundle out."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebert.bundle import bundle_hash, read_manifest, stages_folder
from edgebert.commands.output import note, table, write, write_json
from edgebert.compress import distributed
from edgebert.compress.model_folder import check_described
from edgebert.compress.sentence_folder import encoder_folder
from edgebert.compress.source import resolve
from edgebert.cpu import Cpu, saturates, shown_cpu, this_cpu
from edgebert.errors import BundleError, SettingsError
from edgebert.escape import shortened
from edgebert.finished import Finished, Plan, earlier, key_of, record
from edgebert.lock import held
from edgebert.places import check_places
from edgebert.recipe import data_files, quantization, read_recipe
from edgebert.runtime.quality import about, shown
from edgebert.runtime.tasks import device_half
from edgebert.target import Target, fitting_profile, read_target
from edgebert.versions import check_installed

if TYPE_CHECKING:
    from edgebert.pipeline import Built
    from edgebert.workdir import Done

NEEDED = (
    *("torch", "transformers", "accelerate", "optimum", "requests", "onnx", "onnxscript", "scikit-learn", "scipy"),
    *("seqeval", "safetensors", "tokenizers", "tqdm"),
)

# How often one of PyTorch's threads looks whether the others are done before it sleeps. libgomp's own 300,000 keep a
# core from whoever has the work: CONTRIBUTING has figures.
SPINS = "20000"


def run(arguments: argparse.Namespace) -> int:
    """Build a bundle and say what every stage gave."""
    recipe_path = Path(arguments.recipe)
    recipe = read_recipe(recipe_path, tuple(arguments.set))
    cpu = this_cpu()
    target = _target(arguments.profile or recipe.profile, cpu)
    form = quantization(recipe, target)  # what does not go together is said at once
    check_installed((*NEEDED, *tools_of(form, recipe.export.formats)))
    out = Path(arguments.out or _folder_of(recipe_path, recipe.name))
    out = out if out.name not in ("", "..") else out.resolve()
    if not out.name:
        raise SettingsError(f"--out is {out}, the root of all folders; give a folder in it")
    work = Path(arguments.work) if arguments.work else out.with_name(out.name + ".work")
    data_dir = Path(arguments.data_dir) if arguments.data_dir else recipe_path.parent
    source = arguments.model or recipe.model.source
    plan = Plan(recipe, target, form, source, data_dir, out, work, arguments.strict_labels)
    check_places(out, work, source, data_dir, [recipe_path, *(data_dir / name for name in data_files(recipe))])
    with _alone(out, work):
        key = key_of(plan)
        if key and (done := earlier(plan, key)):
            _say_done(plan, done, arguments.json)
        else:
            _export(plan, key, cpu, arguments.json)
    return 0


def _export(plan: Plan, key: str | None, cpu: Cpu, as_json: bool) -> None:
    # Said before PyTorch is imported, which takes seconds.
    note(f"exporting {plan.recipe.name} for {plan.target.name}; finished stages are kept in {plan.work}")
    _warn_of_saturation(plan.target, plan.form, plan.recipe.export.formats, cpu)
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    check_described(encoder_folder(resolve(plan.source)))
    from edgebert.compress.progress import end_bars
    from edgebert.pipeline import build

    if distributed.is_main():
        _say_replaced(plan.out, plan.recipe.name)
    try:
        where = (plan.source, plan.data_dir, plan.out, plan.work)
        built = build(plan.recipe, plan.target, *where, plan.strict_labels)
    finally:
        end_bars()
    if distributed.is_main():
        if key and key == key_of(plan):  # else a file was changed while it was read
            record(plan, key, built.stage_bundles, [_shown_stage(done) for done in built.done])
        _report(built, as_json)


@contextmanager
def _alone(out: Path, work: Path) -> Iterator[None]:
    """Keep other exports out of both folders; processes that train together are one export."""
    bundle, stages = out.resolve(), work.resolve()
    if bundle == stages or bundle in stages.parents:
        raise SettingsError(f"--work {work} is in {out}, which the bundle will replace; give another --work")
    if not distributed.is_main():
        yield
        return
    with held(out, "--out"), held(work, "--work"):
        yield


def tools_of(form: str, formats: Sequence[str]) -> list[str]:
    """Packages that an export of this form and these formats needs beside `NEEDED`."""
    tools = ["neural-compressor"] if form in ("static", "measure") else []
    if "openvino" in formats:
        tools += ["openvino", "nncf"] if form in ("dynamic", "static", "measure") else ["openvino"]
    return tools


def _target(profile: str, cpu: Cpu) -> Target:
    """The profile that was named, else the one for this machine."""
    if profile:
        return read_target(profile)
    name, why = fitting_profile(cpu)
    note(f"profile: {name}, because {why}; --profile names another")
    return read_target(name)


def _warn_of_saturation(target: Target, form: str, formats: Sequence[str], cpu: Cpu) -> None:
    """Say before the work begins that quality will be measured with sums that saturate here, if they will."""
    made = {"metrics": {"openvino": {"reduce_range": target.export.reduce_range}}}
    planned = {"precision": f"int8-{form}", "profile": {"export": asdict(target.export)}, "stages": [made]}
    runtimes = {"onnx": "onnxruntime", "openvino": "openvino"}
    if form in ("dynamic", "static") and any(saturates(planned, runtimes[name], cpu.int8) for name in formats):
        name, _ = fitting_profile(cpu)
        note(
            f"warning: profile {target.name} has eight-bit weights, whose INT8 sums saturate on this CPU ({cpu}): "
            f"quality is measured here, and is better on CPUs with VNNI; for this CPU: --profile {name}"
        )


def _folder_of(recipe: Path, name: str) -> str:
    """The folder of a bundle whose recipe alone names it: one in build/, and nowhere else.

    Raises:
        SettingsError: The name is no folder's.
    """
    if name in (".", "..") or not re.fullmatch(r"[^/\\:\x00-\x1f]{1,100}", name):
        raise SettingsError(f"{recipe}: name is {name!r:.80}, which names no folder in build/; give --out")
    return f"build/{name}"


def _say_replaced(out: Path, name: str) -> None:
    """Say whose place the new bundle will take, where that is another recipe's; a damaged one has no name to tell."""
    with suppress(BundleError):
        standing = read_manifest(out)["name"]
        if standing != name:
            old, new = shortened(standing), shortened(name)
            note(f"{out} holds the bundle {old!r}; {new!r} will take its place when it is done")


def _say_done(plan: Plan, done: Finished, as_json: bool) -> None:
    """Say that the bundle is what the recipe gives, as an earlier run found it."""
    if as_json:
        stages = [{**stage, "cached": True, "seconds": 0.0} for stage in done.stages]
        write_json(_document(plan.out, [stages_folder(plan.out) / name for name in done.stage_bundles], stages))
    else:
        write(f"nothing to do: {plan.out} (hash {bundle_hash(plan.out)[:16]}) is what this recipe gives")


def _document(out: Path, stage_bundles: Sequence[Path], stages: list[dict[str, Any]]) -> dict[str, Any]:
    manifest = read_manifest(out)
    return {
        "bundle": str(out),
        "bundle_hash": bundle_hash(out),
        "stage_bundles": [str(path) for path in stage_bundles],
        "metrics": manifest["metrics"],
        "measured_on": manifest["measured_on"],
        "stages": stages,
    }


def _shown_stage(done: Done) -> dict[str, Any]:
    return {"stage": done.report.stage, "title": done.title, "metrics": done.report.metrics}


def _report(built: Built, as_json: bool) -> None:
    manifest = read_manifest(built.out)
    if as_json:
        stages = [
            _shown_stage(done) | {"cached": done.cached, "seconds": round(done.seconds, 1)} for done in built.done
        ]
        write_json(_document(built.out, built.stage_bundles, stages))
        return
    rows = [
        (
            done.title,
            "kept" if done.cached else f"{done.seconds:.0f} s",
            _figures(done.report.metrics, labelled=bool(manifest["labels"])),
        )
        for done in built.done
    ]
    write(table(("stage", "took", "gave"), rows))
    for split, quality in manifest["metrics"].items():
        write(f"{split} {quality['metric']}: {shown(quality)} ({about(quality)})")
    if manifest["metrics"]:
        write(f"measured on: {shown_cpu(manifest['measured_on'])}")
    write(f"bundle: {built.out} (hash {built.bundle_hash[:16]})")
    write(f"try it: edgebert predict {built.out} {question_for(manifest)}")


def question_for(manifest: dict[str, Any]) -> str:
    """What a bundle of this task may be asked, as the command line takes it."""
    from edgebert.compress.tasks import workstation_half

    if manifest["task"] == "fill-mask":
        return '"a text with a [MASK] in it"'
    keys = getattr(device_half(manifest["task"]), "KEYS", None)
    if keys:
        return f'"a {keys[0]}" --{keys[1]} "the text to answer it from"'
    half = workstation_half(manifest["task"], manifest["head"]["settings"])
    alone = getattr(half, "GRAPH_SEGMENTS", manifest["segments"]) == 1
    return '"your text"' if alone else '"one text" --text-pair "another"'


def _figures(metrics: dict[str, object], labelled: bool) -> str:
    parts = []
    for key, value in metrics.items():
        if key == "quality" and isinstance(value, dict):
            parts += [f"{split} {quality['metric']} {shown(quality)}" for split, quality in value.items()]
        elif key in ("parity", "agreement") and isinstance(value, dict):
            # The largest number of an embedding or of a single score says nothing.
            same = f", the likeliest labels the same in {value['agreement']:.1%} of texts" if labelled else ""
            parts.append(f"outputs within {value['max_difference']:.1e} of PyTorch's{same}")
        elif not isinstance(value, dict):
            parts.append(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}")
    return ", ".join(parts)
