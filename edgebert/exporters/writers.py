"""How an export writes graphs for runtimes that do not read ONNX: from the ONNX graph, one row per runtime.

A runtime of `edgebert.runtimes` without a row here reads the ONNX graph itself. Imports are inside functions, so an
export needs only the packages of the formats that its recipe names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgebert.exporters.graphs import GraphJob
from edgebert.recipe import QuantizeSettings
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Session
from edgebert.runtimes import CORE, OPENVINO, Runtime
from edgebert.strict_json import Json
from edgebert.target import ExportChoice


@dataclass(frozen=True)
class Int8Parts:
    """Inputs for a runtime's own INT8 graph.

    Attributes:
        job: The model and its texts.
        graph: The full-precision ONNX graph.
        calibration: Encoded texts.
        settings: The recipe's `[quantize]` table.
        choice: The profile's lengths and range.
        tuned: Values chosen on the validation split with the ONNX graph; a bundle has one set for all its graphs.
    """

    job: GraphJob
    graph: Path
    calibration: list[Encoded]
    settings: QuantizeSettings
    choice: ExportChoice
    tuned: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Writer:
    """How a runtime's graph is written. Every folder is a bundle's, with the graph at `runtime.graph`.

    Attributes:
        runtime: The runtime.
        write: Write the graph from an ONNX graph into a folder, in the same precision; None if the runtime has only
            INT8 graphs.
        open: Open the graph in a folder: length buckets, threads.
        write_int8: Write an INT8 graph within the recipe's `max_drop`, and return values for the manifest; None if the
            runtime's INT8 graph is written from the INT8 ONNX graph.
        quantize: Write an INT8 graph without that guard, as a candidate for `format = "measure"`.
        precision: Name of its INT8 precision in a manifest.
        forms: Forms that `format = "measure"` tries.
    """

    runtime: Runtime
    write: Callable[[Path, Path], None] | None
    open: Callable[[Path, list[int], int], Session]
    write_int8: Callable[[Int8Parts, Path], dict[str, Json]] | None = None
    quantize: Callable[[Int8Parts, Path], None] | None = None
    precision: Literal["int8-static", "int8-dynamic"] = "int8-static"
    forms: tuple[Literal["dynamic", "static", "none"], ...] = ()


def _write_openvino(graph: Path, folder: Path) -> None:
    from edgebert.exporters.openvino import read_graph, save_ir

    save_ir(read_graph(graph), (folder / OPENVINO.graph).parent)


def _open_openvino(folder: Path, length_buckets: list[int], threads: int) -> Session:
    from edgebert.runtime.sessions.openvino import OpenVinoSession

    return OpenVinoSession(folder / OPENVINO.graph, threads, length_buckets)


def _openvino_int8(parts: Int8Parts, folder: Path) -> dict[str, Json]:
    from edgebert.exporters.int8_openvino import openvino_int8

    return openvino_int8(parts, (folder / OPENVINO.graph).parent)


def _quantize_openvino(parts: Int8Parts, folder: Path) -> None:
    from edgebert.exporters.int8_openvino import quantized

    quantized(parts, parts.calibration, parts.settings.embeddings == "int8", (), (folder / OPENVINO.graph).parent)


def _open_core(folder: Path, length_buckets: list[int], threads: int) -> Session:
    from edgebert.runtime.sessions.core import CoreSession

    return CoreSession(folder / CORE.graph, threads, (), ())


def _core_int8(parts: Int8Parts, folder: Path) -> dict[str, Json]:
    from edgebert.exporters.int8_core import core_int8

    return core_int8(parts, folder / CORE.graph)


def _quantize_core(parts: Int8Parts, folder: Path) -> None:
    from edgebert.exporters.int8_core import quantized

    quantized(parts, (), folder / CORE.graph)


WRITERS = (
    Writer(
        OPENVINO, _write_openvino, _open_openvino, _openvino_int8, _quantize_openvino, "int8-static", ("static", "none")
    ),
    Writer(CORE, None, _open_core, _core_int8, _quantize_core, "int8-dynamic", ("dynamic",)),
)


def writers(formats: Sequence[str]) -> list[Writer]:
    """The writers that a bundle of these formats needs, in the table's order."""
    return [writer for writer in WRITERS if writer.runtime.format in formats]
