"""What is compared: the full-precision baseline, stage bundles, bundles; each on a runtime."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebert.bundle import check_files, stages_folder
from edgebert.errors import BundleError
from edgebert.manifest import Manifest, leads_out, read_manifest
from edgebert.measure.suite import Suite
from edgebert.runtime.contract import read_bundle
from edgebert.runtime.load import require_graph
from edgebert.runtimes import ONNXRUNTIME, RUNTIMES
from edgebert.stage_names import FULL_PRECISION

Role = Literal["baseline", "stage", "bundle"]
BASELINE = "fp32"
# A file name may have 255 bytes; raw samples add scenario, lengths, arena and a suffix.
MAX_NAME_BYTES = 190


@dataclass(frozen=True)
class Variant:
    """A bundle to measure on one runtime, and its role; the first one of a bench is the baseline.

    Attributes:
        name: Name in results.
        folder: The bundle's folder.
        manifest: The bundle's manifest.
        runtime: Name of the runtime.
        role: Baseline, stage or bundle.
        is_default: Whether the runtime is the bundle's default and not one that the suite names.
        instead_of: The bundle's default runtime, if it cannot run on the machine and `runtime` replaces it.
    """

    name: str
    folder: Path
    manifest: Manifest
    runtime: str
    role: Role = "bundle"
    is_default: bool = False
    instead_of: str = ""

    @property
    def size_mb(self) -> float:
        """Size of the graph files that the runtime opens."""
        entry = self.manifest.runtime
        paths = RUNTIMES[self.runtime].opened(entry.graphs, entry.unpadded)
        return float(sum(entry.bytes for entry in self.manifest.files if entry.path in paths)) / 1e6


def variants_of(bundles: Sequence[Path], baseline: Path, stages: bool, suite: Suite) -> list[Variant]:
    """The baseline, then stage bundles if requested, then the bundles, on every runtime of the suite.

    A stage bundle without a runtime's graph is skipped for it; for a requested bundle this is an error.

    Raises:
        BundleError: A folder is not a complete bundle, or has no graph for a runtime that the suite names.
    """
    baseline = baseline.resolve()
    variants = [_variant(BASELINE, baseline, ONNXRUNTIME.name, "baseline")]
    names = _names([folder.resolve() for folder in bundles])
    for folder, name in names.items():
        prefix = "" if len(names) == 1 else f"{name}/"
        for runtime in suite.runtimes:
            suffix = "" if len(suite.runtimes) == 1 else f"@{runtime}"
            staged = [path for path in stage_folders(folder) if path != baseline] if stages else []
            for path in staged:
                if runtime == "default" or runtime in read_manifest(path).runtime.graphs:
                    variants.append(_variant(f"{prefix}{path.name}{suffix}", path, runtime, "stage"))
            whole = f"{prefix or 'bundle'}{suffix}".replace("/@", "@").rstrip("/")
            variants.append(_variant(whole, folder, runtime, "bundle"))
    return variants


def check_names(variants: Sequence[Variant]) -> None:
    """Refuse bundles whose names are too long for the names of raw sample files.

    Raises:
        BundleError: Names the bundle.
    """
    for variant in variants:
        if len(os.fsencode(variant.name)) > MAX_NAME_BYTES:
            raise BundleError(
                f"{variant.folder}: its name is too long for the files of raw samples; bench it alone, or rename the "
                f"folder to at most {MAX_NAME_BYTES} bytes"
            )


def stage_folders(folder: Path) -> list[Path]:
    """Bundles of the stages before a bundle, in order.

    Raises:
        BundleError: There are none.
    """
    root = _beside(folder)
    found = sorted(path for path in root.glob("[0-9]-*") if path.is_dir()) if os.path.isdir(root) else []
    if not found:
        raise BundleError(f"{root}: no stage bundles; export with export.stages = true")
    return found


def find_baseline(folder: Path, given: str | None) -> Path:
    """The full-precision bundle to compare with.

    Raises:
        BundleError: There is none in the arguments, inside the bundle or beside it; or the given one is not full
            precision.
    """
    if given and not os.path.isdir(given):
        raise BundleError(f"{given}: no such folder; give --baseline a full-precision bundle")
    candidates = [Path(given)] if given else [folder / "baseline", _beside(folder) / "0-baseline"]
    for candidate in candidates:
        if os.path.isdir(candidate):  # unlike Path's, it takes a name that is too long as one that is not there
            if candidate.parent == folder and leads_out(candidate, folder):
                raise BundleError(f"{candidate}: a link that leads out of the bundle; name its folder with --baseline")
            precision = read_manifest(candidate).precision
            if precision != "fp32":
                raise BundleError(f"{candidate}: a baseline is full precision, this is {precision}; give another")
            return candidate
    # It may come from this export or an earlier one, so the message names it and it is not used.
    left = folder.with_name(f"{folder.name}.work") / FULL_PRECISION
    remedy = f"give --baseline {left}, which an export left" if left.is_dir() else "give --baseline"
    raise BundleError(
        f"{folder}: no full-precision baseline at {' or '.join(map(str, candidates))}; "
        f"export with export.stages or export.baseline = true, or {remedy}"
    )


def _beside(folder: Path) -> Path:
    return stages_folder(folder.resolve())


def _variant(name: str, folder: Path, runtime: str, role: Role) -> Variant:
    manifest = read_bundle(folder)
    check_files(folder, manifest)
    is_default = runtime == "default"
    runtime = manifest.runtime.default if is_default else runtime
    require_graph(folder, manifest, runtime)
    return Variant(name, folder, manifest, runtime, role, is_default)


def _names(folders: list[Path]) -> dict[Path, str]:
    """Shortest path suffixes that tell the folders apart, and from the baseline."""
    unique = list(dict.fromkeys(folders))
    for depth in range(1, 64):
        names = ["/".join(folder.parts[-depth:]) for folder in unique]
        if len(set(names)) == len(unique) and BASELINE not in names:
            break
    return dict(zip(unique, names, strict=True))
