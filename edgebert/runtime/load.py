"""Open a bundle: manifest, hashes, tokenizer, session, task."""

from __future__ import annotations

from pathlib import Path

from edgebert.bundle import bundle_hash, check_files, read_manifest
from edgebert.cpu import this_cpu, warn_once
from edgebert.errors import BundleError, FallbackWarning, InputError
from edgebert.escape import shown_value
from edgebert.manifest import TOKENIZER, Manifest
from edgebert.runtime.contract import check_graph, make_task, open_encoder
from edgebert.runtime.cores import core_count
from edgebert.runtime.model import Model
from edgebert.runtime.origin import Origin, Provider
from edgebert.runtime.session import CPU, Opening
from edgebert.runtimes import RUNTIMES, Runtime, next_runtime, saturation

MOST_THREADS = 1024


def load_bundle(
    path: Path,
    runtime: str | None,
    threads: int | None,
    verify: bool,
    arena: bool = True,
    provider: Provider | None = None,
) -> Model:
    """Open a bundle; see `edgebert.load`. Only ONNX Runtime has `arena` and `provider` (overrides the profile's)."""
    if runtime is not None and not (isinstance(runtime, str) and runtime):
        raise InputError(f"runtime is {shown_value(runtime)}; give {' or '.join(RUNTIMES)}, or leave it out")
    manifest = read_manifest(path)
    name = runtime or _default(path, manifest)
    check_files(path, manifest, hashes=opened_files(manifest, name) if verify else False)
    make_task(path, manifest, None)
    if threads is not None and not (type(threads) is int and 1 <= threads <= MOST_THREADS):
        raise InputError(f"threads is {shown_value(threads)}; give 1 to {MOST_THREADS}")
    task = make_task(path, manifest, open_encoder(path, manifest))
    opening = opening_of(path, manifest, name, threads, arena, provider)
    session = RUNTIMES[name].open(opening)
    _warn_of_saturation(opening, RUNTIMES[name])
    check_graph(path, manifest, task, session)
    model = task.model(manifest.facts, session)
    model.opened_from(
        manifest,
        reopen,
        Origin(path.absolute(), bundle_hash(path), runtime, threads, verify, arena, provider),
        name,
        opening.threads,
    )
    return model


def opened_files(manifest: Manifest, runtime: str) -> set[str]:
    """Files of a bundle that a runtime reads on opening; empty for an unknown runtime or one without a graph."""
    row = RUNTIMES.get(runtime)
    if row is None or runtime not in manifest.runtime.graphs:
        return set()
    return {TOKENIZER, *row.opened(manifest.runtime.graphs, manifest.runtime.unpadded)}


def _default(path: Path, manifest: Manifest) -> str:
    """Name of the bundle's default runtime, or of the next one if the default cannot run here and gives way."""
    name: str = manifest.runtime.default
    other = next_runtime(name, manifest.runtime.graphs)
    reason = RUNTIMES[name].unusable() if other else ""
    if not reason:
        return name
    # Skips this function, load_bundle and edgebert.load.
    warn_once(f"{path}: {reason}; {other} runs it instead", stacklevel=4, category=FallbackWarning)
    return other


def reopen(origin: Origin) -> Model:
    """Open a bundle again in the same way; pickle and `copy.deepcopy` call this.

    Raises:
        BundleError: The folder is missing or damaged, or another bundle has replaced the first one.
    """
    model = load_bundle(
        origin.path, origin.runtime, origin.threads, origin.verify, arena=origin.arena, provider=origin.provider
    )
    if bundle_hash(origin.path) != origin.hash:
        raise BundleError(f"{origin.path}: another bundle since this model was opened; open it with edgebert.load")
    return model


def thread_count(manifest: Manifest, threads: int | None) -> int:
    """Return the requested number of threads, or the profile's, at most the cores of this machine."""
    return threads or min(manifest.profile.export.intra_op_threads, core_count())


def _warn_of_saturation(opening: Opening, runtime: Runtime) -> None:
    """Warn, once per bundle, if its INT8 sums saturate on this CPU."""
    if not runtime.saturating:
        return
    profiled = opening.manifest.profile.export.provider
    provider = opening.provider[0] if opening.provider else profiled
    if not runtime.has_providers or provider == CPU:
        told = saturation(opening.manifest.int8_form, runtime.name, this_cpu())
        if told:
            # Skips this function, load_bundle and edgebert.load, to name the line that opened the bundle.
            warn_once(f"{opening.folder}: {told}", stacklevel=4)


def opening_of(
    path: Path,
    manifest: Manifest,
    runtime: str,
    threads: int | None,
    arena: bool = True,
    provider: Provider | None = None,
) -> Opening:
    """Collect the arguments for opening a session of a bundle's graph.

    Raises:
        BundleError: The bundle has no graph for the runtime.
    """
    require_graph(path, manifest, runtime)
    if runtime not in RUNTIMES:
        raise BundleError(f"{path}: this EdgeBERT has no runtime {runtime!r} (it has {', '.join(RUNTIMES)}); update it")
    return Opening(
        path, manifest, path / manifest.runtime.graphs[runtime], thread_count(manifest, threads), arena, provider
    )


def require_graph(path: Path, manifest: Manifest, runtime: str) -> None:
    """Refuse a runtime that the bundle has no graph for.

    Raises:
        BundleError: Names the runtimes that it has graphs for.
    """
    graphs = manifest.runtime.graphs
    if runtime not in graphs:
        raise BundleError(
            f"{path}: no graph for runtime {runtime!r}; this bundle has {', '.join(graphs)} (export.formats of the "
            "recipe names the formats to write)"
        )
