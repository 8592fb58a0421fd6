"""Names of the files from which an ONNX graph reads weights. Standard library only.

ONNX Runtime before 1.24 reads them from any path in the graph, even outside the bundle. Later versions refuse that, but
no version knows which files a bundle lists. This module parses protobuf's wire format itself, since a device does not
have the onnx package.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from edgebert.errors import BundleError
from edgebert.manifest import AGAIN, Manifest, path_fault
from edgebert.strict_json import open_regular

LOCATION = b"location"
# Messages of onnx.proto that contain tensors at some depth: for each the fields to follow, by number.
FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
FIXED = {1: 8, 5: 4}
# Protobuf itself does not parse messages deeper than this.
MAX_DEPTH = 100
UTF8_MARK = b"\xef\xbb\xbf"
# No protobuf begins with "<", so a file that does is not an ONNX graph.
IR_BEGINNINGS = (b"<?xml", b"<net")


def check_external_data(folder: Path, graph: Path, manifest: Manifest) -> None:
    """Refuse a graph with weights in a file that the bundle does not list.

    Args:
        folder: The bundle.
        graph: An ONNX file in it.
        manifest: The bundle's manifest.

    Raises:
        BundleError: Names the file.
    """
    listed = {entry.path for entry in manifest.files}
    try:
        names = external_files(graph)
    except (ValueError, IndexError) as error:
        raise BundleError(f"{graph}: not an ONNX graph ({error}); {AGAIN}") from None
    for name in names:
        beside = (graph.relative_to(folder).parent / name).as_posix()
        if path_fault(name) or beside not in listed:
            raise BundleError(f"{graph}: reads weights from {name!r:.80}, which the bundle does not list; {AGAIN}")


def check_ir(graph: Path) -> None:
    """Refuse a file that is not OpenVINO IR, whose weights are always in the `.bin` file beside it.

    OpenVINO looks at a file's content and not at its name: it opens an ONNX graph named `.xml`, and reads weights from
    any path in it.

    Raises:
        BundleError: Names the file.
    """
    with open_regular(graph) as opened:
        beginning = opened.read(16)
    if not beginning.removeprefix(UTF8_MARK).startswith(IR_BEGINNINGS):
        raise BundleError(f"{graph}: not an OpenVINO IR file, it does not begin with <?xml or <net; {AGAIN}")


def external_files(graph: Path) -> list[str]:
    """Names of the files beside a graph that hold its tensors, each once, as written in the graph.

    Raises:
        ValueError: The file is truncated, or is not an ONNX file.
    """
    with open_regular(graph) as opened:
        if not graph.stat().st_size:
            return []
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return list(dict.fromkeys(_locations(data)))


def _locations(data: mmap.mmap) -> Iterator[str]:
    """Values of all `location` entries, wherever the tensor is."""
    left: list[tuple[str, int, int, int]] = [("model", 0, len(data), 1)]
    while left:
        kind, start, end, depth = left.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"nested more than {MAX_DEPTH} deep")
        if kind == "entry":
            # If a field occurs twice, the last one counts.
            parts = {number: data[first:last] for number, first, last in _fields(data, start, end)}
            if parts.get(1) == LOCATION:
                yield parts.get(2, b"").decode("utf-8")
            continue
        # There are many small nodes: searching is faster than parsing, and few contain a tensor.
        if kind == "node" and data.find(LOCATION, start, end) < 0:
            continue
        follow = FIELDS[kind]
        fields = _fields(data, start, end)
        left += [(follow[number], first, last, depth + 1) for number, first, last in fields if number in follow]


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of every length-delimited field; others are skipped."""
    while at < end:
        tag, at = _varint(data, at)
        tag &= 0xFFFFFFFF  # as protobuf reads it
        kind = tag & 7
        if kind == 0:
            _, at = _varint(data, at)
        elif kind in FIXED:
            at += FIXED[kind]
        elif kind == 2:
            size, at = _varint(data, at)
            yield tag >> 3, at, at + size
            at += size
        else:
            raise ValueError(f"a field of wire type {kind}")
        if at > end:
            raise ValueError("it is truncated")


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than ten bytes")
