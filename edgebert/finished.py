"""Record an export's inputs and results, so that the same command need not run again. Needs no torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgebert.bundle import (
    bundle_hash,
    damages,
    disk_errors,
    file_sha256,
    is_ours,
    nested,
    read_manifest,
    stages_folder,
    strangers,
    walk,
)
from edgebert.compress.conditions import ALL, installed
from edgebert.compress.distributed import world_size
from edgebert.compress.sentence_folder import MODULES, module_kinds
from edgebert.compress.source import resolve
from edgebert.cpu import read_cpuinfo, this_cpu
from edgebert.data.fingerprint import fingerprint
from edgebert.errors import InputError
from edgebert.leftovers import stage_leftovers
from edgebert.manifest import path_fault
from edgebert.recipe import Recipe, data_files, settings_dict
from edgebert.runtime.cores import usable_cores
from edgebert.settings import fill
from edgebert.stage_names import STAGES
from edgebert.strict_json import Json, read_json, table_of
from edgebert.target import Target
from edgebert.whole_file import write_whole

# Files of a checkpoint's folder that are read.
MODEL_FILES = (".json", ".txt", ".safetensors", ".bin")
SOURCES = (".py", ".toml")


@dataclass(frozen=True)
class Plan:
    """One export, as its arguments and its recipe define it.

    Attributes:
        recipe: What to do.
        target: The hardware to do it for.
        form: How weights are quantized (`precision.quantization`).
        source: The checkpoint: a folder, `package:NAME` or a hub id.
        data_dir: Folder that the recipe's data paths are relative to.
        out: The bundle's folder.
        work: Folder of finished stages; a second run continues from it.
        strict_labels: Whether to refuse labels of validation and test that the head does not have; else they count as
            wrong.
        needs_texts: Whether no texts were given to check the model on. EdgeBERT then writes its own sentences to
            `work`.
        full_precision: Whether to leave a bundle of the same model before INT8 in `work`, for comparison.
        budget: Seconds that the export may take; 0 for no limit.
    """

    recipe: Recipe
    target: Target
    form: str
    source: str
    data_dir: Path
    out: Path
    work: Path
    strict_labels: bool = False
    needs_texts: bool = False
    full_precision: bool = False
    budget: int = 0


@dataclass(frozen=True)
class ShownStage:
    """The values of a stage that are shown."""

    stage: str
    title: str
    metrics: Mapping[str, Json]


@dataclass(frozen=True)
class Finished:
    """The result of an export.

    Attributes:
        bundles: Hashes of the bundle (path ".") and of the bundles inside it, by their paths in it.
        stage_bundles: Hashes of the bundles of its stages, by their names.
        stages: The shown values of every stage.
    """

    bundles: dict[str, str]
    stage_bundles: dict[str, str]
    stages: tuple[ShownStage, ...]


def key_of(plan: Plan) -> str | None:
    """Hash everything that an export's result depends on; None if part of it cannot be read.

    The hash includes EdgeBERT's own code: one unnecessary difference costs a minute, a missed one a wrong bundle.
    """
    if world_size() > 1:  # every process would have to come to the same answer
        return None
    try:
        model = _content(sorted(_model_files(resolve(plan.source))))
        files = [[name, fingerprint(plan.data_dir / name)] for name in data_files(plan.recipe)]
    except (InputError, OSError, ValueError):
        return None
    cpu = this_cpu()
    parts = {
        "recipe": settings_dict(plan.recipe),
        "target": settings_dict(plan.target),
        "form": plan.form,
        "strict_labels": plan.strict_labels,
        "budget": plan.budget,
        "source": [plan.source, model],
        "data": files,
        "edgebert": _content(sorted(path for path in walk(Path(__file__).parent) if path.suffix in SOURCES)),
        "tools": installed(ALL),
        "cpu": [cpu.name, cpu.machine, sorted(cpu.features or ()), sorted(_flags()), len(usable_cores())],
        "gpu": [
            os.environ.get("CUDA_VISIBLE_DEVICES"),
            sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*")),
        ],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def record(plan: Plan, key: str, stage_bundles: Sequence[Path], stages: Sequence[ShownStage]) -> None:
    """Write an export's result into its folder of finished stages."""
    inside = {folder.relative_to(plan.out).as_posix(): bundle_hash(folder) for folder in (plan.out, *nested(plan.out))}
    finished = Finished(inside, {folder.name: bundle_hash(folder) for folder in stage_bundles}, tuple(stages))
    with disk_errors(plan.work, "--work"):
        write_whole(_place(plan, key), json.dumps(asdict(finished), indent=1) + "\n")


def earlier(plan: Plan, key: str) -> Finished | None:
    """Return what an earlier export of the same inputs made, if all of it is still there and unaltered."""
    try:
        place = _place(plan, key)
        found = fill(Finished, table_of(read_json(place)), place.name)
        if any(path_fault(name) for name in (*found.bundles, *found.stage_bundles) if name != "."):
            return None
        root = stages_folder(plan.out)
        inside = {plan.out / name: digest for name, digest in found.bundles.items()}
        beside = {root / name: digest for name, digest in found.stage_bundles.items()}
        if any(bundle_hash(folder) != digest for folder, digest in {**inside, **beside}.items()):
            return None
        whole = _are_whole(plan.out, inside) and all(_are_whole(folder, [folder]) for folder in beside)
    except (InputError, OSError, ValueError):
        return None
    return found if whole and _stands_alone(root, found.stage_bundles) else None


def _are_whole(bundle: Path, folders: Iterable[Path]) -> bool:
    """Whether a bundle and the bundles inside it have all files unaltered, and no others."""
    manifests = {folder: read_manifest(folder) for folder in folders}
    damaged = any(damage for folder, manifest in manifests.items() for damage in damages(folder, manifest))
    return not damaged and not strangers(bundle, manifests)


def _stands_alone(root: Path, names: Collection[str]) -> bool:
    """Whether there are no other stage bundles, or parts of any, which an export would remove."""
    return {name for name in STAGES if is_ours(root / name)} == set(names) and not any(stage_leftovers(root))


def _place(plan: Plan, key: str) -> Path:
    return plan.work / f"finished-{key[:16]}.json"


def _model_files(folder: Path) -> Iterator[Path]:
    """List files of a checkpoint and of a sentence-transformers folder's modules, all inside the folder.

    Raises:
        CheckpointError: `modules.json` is not a list of modules, or names a folder outside it.
    """
    folders = {folder}
    if (folder / MODULES).exists():
        folders |= {place for _, place in module_kinds(folder)}
    for each in filter(Path.is_dir, folders):  # a module without settings may have none
        yield from (path for path in each.iterdir() if path.suffix in MODEL_FILES and path.is_file())


def _content(paths: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def _flags() -> list[str]:
    found = read_cpuinfo()
    return (found.get("flags") or found.get("Features") or "").split()
