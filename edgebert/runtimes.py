"""The runtimes that open a bundle's graph, by their names. A new runtime is one file in `runtime/sessions` and one row.

The row holds everything that the rest of the code asks about a runtime: its names, the files of its graph, what must be
installed, what it can run, and how its sessions are opened. The functions import the session's file when they are
called, so that reading the table loads no runtime. Standard library only.

`edgebert.load` uses the runtime that the caller names, else the manifest's `runtime.default`. An export sets that
default to the profile's `export.runtime` if the bundle has a graph for it, else to the first row of this table that the
bundle has a graph for. Installed packages play no part in the choice: if the default's package is missing, `load`
raises an error.

`edgebert.exporters.writers` writes the graphs, because that needs packages that a device does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebert.cpu import Cpu
from edgebert.versions import installed_version

if TYPE_CHECKING:
    from edgebert.runtime.session import GraphSession, Opening, ProfiledSession

# Add the names of a new row here too; mypy then reports every place that must know them.
RuntimeName = Literal["onnxruntime", "openvino", "core"]
FormatName = Literal["onnx", "openvino", "core"]
# The precision of a bundle whose weights are INT8 and whose arithmetic is FP32.
WEIGHTS_ALONE = "int8-weights"
# Of a checkpoint that is exported without a recipe.
AskedPrecision = Literal["int8", "int8-weights", "fp32"]


def _nothing() -> str:
    return ""


@dataclass(eq=False, repr=False)
class Int8Form:
    """Properties that decide whether a bundle's INT8 sums saturate on some CPUs.

    Attributes:
        precision: The bundle's precision.
        weight_type: The profile's type for weights in ONNX Runtime's graph; "" if not stated.
        activation_type: The profile's type for activations; "" if not stated.
        reduce_range: Whether weights of ONNX Runtime's graph have seven bits.
        openvino_reduce_range: The same for OpenVINO's INT8 graph; None without such a graph.
    """

    precision: str
    weight_type: str = ""
    activation_type: str = ""
    reduce_range: bool = False
    openvino_reduce_range: bool | None = None


@dataclass(frozen=True)
class Runtime:
    """One runtime.

    Attributes:
        name: Its name in a manifest, a profile, a suite and `--runtime`.
        format: Its name in a recipe's `export.formats`.
        graph: Location of its graph in a bundle that this EdgeBERT writes.
        ending: Suffix of its graph's path, the same in every bundle.
        weights: Suffix of the file beside the graph that holds its weights; "" if the graph's file holds them.
        module: What must be importable on the device; "" if EdgeBERT alone is enough.
        packages: Packages that install the module (one is enough). A measurement records their versions.
        install: What pip installs to get it.
        export_packages: Packages that write its full-precision graph, besides those of an ONNX graph.
        int8_packages: Packages that write an INT8 graph of its own, besides these.
        saturating: INT8 instructions (`Cpu.int8`) with which its sums of eight-bit weights saturate.
        needs_vnni: Whether its graph multiplies unsigned by signed eight-bit values.
        open: Open a session.
        open_profiled: Open a session that counts the time of every operator; the folder is for its temporary files.
        has_arena: Whether its sessions can keep freed memory for the next run, or give it back.
        has_providers: Whether it runs on the profile's execution provider, such as a GPU; else on the CPU.
        has_unpadded: Whether it opens the manifest's graph without an attention mask, if there is one.
        int8_only: Whether it runs only INT8 models.
        rewritten_only: Whether it runs only families whose layers can be rewritten (`compress.families`).
        unusable: For a runtime that needs no package: why it cannot run in this installation; "" if it can.
        gives_way: Whether `load` uses the bundle's next runtime, with a warning, if this one is the default and cannot
            run.
    """

    name: RuntimeName
    format: FormatName
    graph: str
    ending: str
    weights: str
    module: str
    packages: tuple[str, ...]
    install: str
    export_packages: tuple[str, ...]
    int8_packages: tuple[str, ...]
    saturating: tuple[str, ...]
    needs_vnni: Callable[[Int8Form], bool]
    open: Callable[[Opening], GraphSession]
    open_profiled: Callable[[Opening, Path], ProfiledSession]
    has_arena: bool = False
    has_providers: bool = False
    has_unpadded: bool = False
    int8_only: bool = False
    rewritten_only: bool = False
    unusable: Callable[[], str] = _nothing
    gives_way: bool = False

    @property
    def version(self) -> str | None:
        """Version of the installed package; None if it is missing or none is needed."""
        return next(filter(None, map(installed_version, self.packages)), None)

    @property
    def is_usable(self) -> bool:
        """Whether everything that it needs is installed."""
        return self.version is not None if self.packages else not self.unusable()

    @property
    def files(self) -> tuple[str, ...]:
        """Files of its graph in a bundle that this EdgeBERT writes."""
        return (self.graph, *weights_beside([self.graph]))

    def opened(self, graphs: Mapping[str, str], unpadded: str | None) -> set[str]:
        """Files of a bundle that it opens.

        Args:
            graphs: Graphs of the manifest by runtime; this one must have one.
            unpadded: The manifest's graph without an attention mask.
        """
        graph = graphs[self.name]
        beside = {unpadded} if self.has_unpadded and unpadded else set()
        return {graph, *weights_beside([graph]), *beside}


def _onnx_needs_vnni(form: Int8Form) -> bool:
    if form.precision == "int8-static":
        # Weights are signed whatever the profile says. For signed activations EdgeBERT's sessions select ONNX Runtime's
        # exact kernel; by default it converts them to unsigned on x86, and saturates.
        narrow = form.activation_type != "int8"
    else:
        integer = form.precision.startswith("int8") and form.precision != WEIGHTS_ALONE
        narrow = integer and form.weight_type == "int8"
    return narrow and not form.reduce_range


def _openvino_needs_vnni(form: Int8Form) -> bool:
    return form.openvino_reduce_range is False


def _open_onnxruntime(opening: Opening) -> GraphSession:
    from edgebert.runtime.sessions.onnxruntime import open_session

    return open_session(opening)


def _profile_onnxruntime(opening: Opening, folder: Path) -> ProfiledSession:
    from edgebert.runtime.sessions.onnxruntime import open_profiled

    return open_profiled(opening, folder)


def _open_openvino(opening: Opening) -> GraphSession:
    from edgebert.runtime.sessions.openvino import open_session

    return open_session(opening)


def _profile_openvino(opening: Opening, folder: Path) -> ProfiledSession:
    from edgebert.runtime.sessions.openvino import open_profiled

    return open_profiled(opening)


def _open_core(opening: Opening) -> GraphSession:
    from edgebert.runtime.sessions.core import open_session

    return open_session(opening)


def _profile_core(opening: Opening, folder: Path) -> ProfiledSession:
    from edgebert.runtime.sessions.core import open_profiled

    return open_profiled(opening)


def _core_unusable() -> str:
    from edgebert.runtime.sessions.core import unusable

    return unusable()


ONNXRUNTIME = Runtime(
    name="onnxruntime",
    format="onnx",
    graph="model.onnx",
    ending=".onnx",
    weights="",
    module="onnxruntime",
    packages=("onnxruntime", "onnxruntime-gpu"),
    install="edgebert",
    export_packages=(),
    int8_packages=(),
    # Its kernels before AVX2 are exact.
    saturating=("avx2",),
    needs_vnni=_onnx_needs_vnni,
    open=_open_onnxruntime,
    open_profiled=_profile_onnxruntime,
    has_arena=True,
    has_providers=True,
    has_unpadded=True,
)
OPENVINO = Runtime(
    name="openvino",
    format="openvino",
    graph="openvino/model.xml",
    ending=".xml",
    weights=".bin",
    module="openvino",
    packages=("openvino",),
    install="edgebert[openvino]",
    export_packages=("openvino",),
    int8_packages=("nncf",),
    # Its kernels before AVX2 are not exact (run under qemu, docs/explanation/cpus.md).
    saturating=("avx2", "sse"),
    needs_vnni=_openvino_needs_vnni,
    open=_open_openvino,
    open_profiled=_profile_openvino,
)

CORE = Runtime(
    name="core",
    format="core",
    graph="core.bin",
    ending=".bin",
    weights="",
    module="",
    packages=(),
    install="edgebert",
    export_packages=(),
    int8_packages=(),
    # Its sums are exact on every CPU.
    saturating=(),
    needs_vnni=lambda form: False,
    open=_open_core,
    open_profiled=_profile_core,
    int8_only=True,
    rewritten_only=True,
    unusable=_core_unusable,
    gives_way=True,
)

RUNTIMES: dict[str, Runtime] = {row.name: row for row in (ONNXRUNTIME, OPENVINO, CORE)}
FORMATS: dict[str, Runtime] = {row.format: row for row in RUNTIMES.values()}


def shown_precision(precision: str) -> str:
    """A bundle's precision as people read it; weight-only INT8 is explained."""
    return f"{precision} (INT8 weights, FP32 arithmetic)" if precision == WEIGHTS_ALONE else precision


def next_runtime(default: str, graphs: Iterable[str]) -> str:
    """The runtime to use if a bundle's default one cannot run here; "" if there is none."""
    row = RUNTIMES.get(default)
    return next((name for name in graphs if name != default), "") if row is not None and row.gives_way else ""


def weights_beside(graphs: Iterable[str]) -> list[str]:
    """Locations of the weight files beside these graphs."""
    return [
        f"{graph.removesuffix(row.ending)}{row.weights}"
        for graph in graphs
        for row in RUNTIMES.values()
        if row.weights and graph.endswith(row.ending)
    ]


def saturates(form: Int8Form, runtime: str, int8: str | None) -> bool:
    """Whether a bundle's INT8 sums saturate on a CPU.

    Args:
        form: The bundle's (`Manifest.int8_form`).
        runtime: Name of the runtime, on the CPU.
        int8: The CPU's INT8 instructions (`Cpu.int8`); None means unknown and never saturates.
    """
    row = RUNTIMES[runtime]
    return int8 in row.saturating and row.needs_vnni(form)


def saturation(form: Int8Form, runtime: str, cpu: Cpu) -> str | None:
    """The warning and remedy if a bundle's sums saturate on a CPU; None if they do not."""
    if not saturates(form, runtime, cpu.int8):
        return None
    return (
        f"INT8 sums saturate on this CPU ({cpu}): the weights have eight bits, which needs VNNI, so answers are less "
        "accurate than on a CPU that has it; export with --profile x86-avx2, whose weights have seven"
    )
