"""Open a bundle: manifest, hashes, tokenizer, session, task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgebert.bundle import bundle_hash, check_files, read_manifest
from edgebert.cpu import saturation, this_cpu, warn_once
from edgebert.errors import BundleError, InputError
from edgebert.runtime.contract import check_graph, make_task, open_encoder
from edgebert.runtime.cores import core_count
from edgebert.runtime.cuda_graphs import open_cuda
from edgebert.runtime.external_data import check_external_data, check_ir
from edgebert.runtime.model import Model
from edgebert.runtime.origin import Origin, Provider
from edgebert.runtime.session import CPU, CUDA, OnnxSession, OpenVinoSession, UnpaddedSession, bucket_lengths

MOST_THREADS = 1024


def load_bundle(
    path: Path,
    runtime: str | None,
    threads: int | None,
    verify: bool,
    arena: bool = True,
    provider: Provider | None = None,
) -> Model:
    """Open a bundle; see `edgebert.load`. `arena` and a provider in place of the profile's are ONNX Runtime's alone."""
    if runtime is not None and not (isinstance(runtime, str) and runtime):
        raise InputError(f"runtime is {runtime!r:.40}; give onnxruntime or openvino, or leave it out")
    manifest = read_manifest(path)
    check_files(path, manifest, hashes=verify)
    make_task(path, manifest, None)
    if threads is not None and not (type(threads) is int and 1 <= threads <= MOST_THREADS):
        raise InputError(f"threads is {threads!r}; give 1 to {MOST_THREADS}")
    task = make_task(path, manifest, open_encoder(path, manifest))
    session = open_session(path, manifest, runtime, threads, arena, provider=provider)
    _warn_of_saturation(path, manifest, runtime, provider)
    check_graph(path, manifest, task, session)
    model = task.model(manifest, session)
    model.opened_from(
        reopen,
        Origin(path.absolute(), bundle_hash(path), runtime, threads, verify, arena, provider),
        runtime or manifest["runtime"]["default"],
        thread_count(manifest, threads),
    )
    return model


def reopen(origin: Origin) -> Model:
    """Open a bundle as it was opened before; pickle and `copy.deepcopy` call this.

    Raises:
        BundleError: The folder is missing or damaged, or another bundle has replaced the first one.
    """
    model = load_bundle(
        origin.path, origin.runtime, origin.threads, origin.verify, arena=origin.arena, provider=origin.provider
    )
    if bundle_hash(origin.path) != origin.hash:
        raise BundleError(f"{origin.path}: another bundle since this model was opened; open it with edgebert.load")
    return model


def thread_count(manifest: dict[str, Any], threads: int | None) -> int:
    """Return the number of threads that was asked for, else the profile's, at most the cores of this machine."""
    return threads or min(int(manifest["profile"]["export"]["intra_op_threads"]), core_count())


def _warn_of_saturation(path: Path, manifest: dict[str, Any], runtime: str | None, provider: Provider | None) -> None:
    """Warn, once for a bundle, if its INT8 sums saturate on this CPU."""
    runtime = runtime or manifest["runtime"]["default"]
    name = provider[0] if provider else manifest["profile"]["export"]["provider"]
    if runtime == "openvino" or name == CPU:
        told = saturation(manifest, runtime, this_cpu())
        if told:
            # Past this function, load_bundle and edgebert.load: the line that asked for the bundle.
            warn_once(f"{path}: {told}", stacklevel=4)


def open_session(
    path: Path,
    manifest: dict[str, Any],
    runtime: str | None,
    threads: int | None,
    arena: bool = True,
    profile: Path | None = None,
    provider: Provider | None = None,
) -> OnnxSession | OpenVinoSession:
    """Session of a bundle's graph for a runtime; with `profile`, one that keeps the time of every operator.

    Raises:
        BundleError: The bundle has no graph for it.
        MissingDependencyError: It is not installed.
    """
    runtime = runtime or manifest["runtime"]["default"]
    graphs = manifest["runtime"]["graphs"]
    if runtime not in graphs:
        raise BundleError(f"{path}: no graph for runtime {runtime!r}; this bundle has {', '.join(graphs)}")
    choice = manifest["profile"]["export"]
    threads = thread_count(manifest, threads)
    graph = path / graphs[runtime]
    if runtime == "openvino":
        check_ir(graph)
        buckets = bucket_lengths(choice["length_buckets"], manifest["max_length"])
        return OpenVinoSession(graph, threads, buckets, profile=profile is not None)
    fuse_everything = manifest["runtime"].get("default_fusions", False)
    name, options = provider or (choice["provider"], {})
    if name == CUDA and not fuse_everything and profile is None:
        check_external_data(path, graph, manifest)
        buckets = bucket_lengths(choice["length_buckets"], manifest["max_length"])
        return open_cuda(graph, threads, buckets, arena, options)
    kind, unpadded = OnnxSession, manifest["runtime"].get("unpadded")
    # Its weights are in the other file: ONNX Runtime finds them where no link leads out of the folder (`check_files`).
    if unpadded and name == CPU:
        kind, graph = UnpaddedSession, path / unpadded
    check_external_data(path, graph, manifest)
    return kind(graph, threads, name, fuse_everything, arena, profile, options)
