"""Find this CPU's INT8 instructions, and whether a bundle's INT8 sums saturate on it.

Eight-bit activations times eight-bit signed weights do not fit into the 16 bits in which x86 adds two of them without
VNNI. ONNX Runtime and OpenVINO use that instruction (VPMADDUBSW) nevertheless, so large sums saturate. Weights of seven
bits (`reduce_range`) fit; so do unsigned weights, for which ONNX Runtime has another kernel. Measurements are in
docs/explanation/cpus.md. Standard library only.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Literal

from edgebert.errors import SaturationWarning

Int8 = Literal["amx", "vnni", "avx2", "sse", "i8mm", "dotprod", "neon"]

# Name of each in a message.
INT8_NAMES: dict[str, str] = {
    "amx": "AMX",
    "vnni": "VNNI",
    "avx2": "AVX2 without VNNI",
    "sse": "neither AVX2 nor VNNI",
    "i8mm": "i8mm",
    "dotprod": "dot product without i8mm",
    "neon": "NEON without dot product",
}
X86, ARM = "x86_64", "aarch64"
# Index, register and bit in glibc's table of CPUID results (sys/platform/x86.h); "active" registers follow the four
# CPUID registers, and show what the operating system has enabled too.
LEAF_7, LEAF_7_1 = 1, 6
EAX, EBX, ECX, EDX = 4, 5, 6, 7
X86_BITS = {
    "avx2": (LEAF_7, EBX, 5),
    "avx512f": (LEAF_7, EBX, 16),
    "avx512_vnni": (LEAF_7, ECX, 11),
    "amx_int8": (LEAF_7, EDX, 25),
    "avx_vnni": (LEAF_7_1, EAX, 4),
}
ARM_FEATURES = ("asimddp", "i8mm")
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Cpu:
    """A processor: name, architecture, and the features that INT8 depends on. None means unknown."""

    name: str
    machine: str
    features: frozenset[str] | None

    @property
    def int8(self) -> Int8 | None:
        """The instructions that INT8 matrix products use on this CPU; None if unknown."""
        has = self.features
        if has is None or self.machine not in (X86, ARM):
            return None
        if self.machine == ARM:
            return "i8mm" if "i8mm" in has else "dotprod" if "asimddp" in has else "neon"
        if "amx_int8" in has:
            return "amx"
        return "vnni" if has & {"avx512_vnni", "avx_vnni"} else "avx2" if "avx2" in has else "sse"

    def __str__(self) -> str:
        """Return the text that messages show."""
        return f"{self.name}, {INT8_NAMES[self.int8]}" if self.int8 else self.name


def this_cpu() -> Cpu:
    """Return the processor that this process runs on, real or emulated."""
    import platform

    first = read_cpuinfo()
    machine = {"AMD64": X86, "arm64": ARM, "ARM64": ARM}.get(platform.machine(), platform.machine())
    name = first.get("model name") or first.get("Model") or platform.processor() or machine
    return Cpu(name, machine, _features(machine, first))


def read_cpuinfo() -> dict[str, str]:
    """Return the first processor's entry of /proc/cpuinfo; empty if the file does not exist (macOS, Windows)."""
    try:
        # Read only to the first blank line: with hundreds of cores the kernel takes milliseconds.
        with CPUINFO.open(encoding="utf-8", errors="replace") as opened:
            pairs = [line.partition(":") for line in takewhile(str.strip, opened)]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in pairs}


def _features(machine: str, first: dict[str, str]) -> frozenset[str] | None:
    if machine == ARM:
        known = first.get("Features")
        return None if known is None else frozenset(ARM_FEATURES) & frozenset(known.split())
    if machine != X86:
        return None
    # Under qemu-user, /proc/cpuinfo still has the host's flags. CPUID does not, and glibc keeps its results.
    found = glibc_features()
    if found is None and "flags" in first:
        found = frozenset(X86_BITS) & frozenset(first["flags"].split())
    return found


def glibc_features() -> frozenset[str] | None:
    """Return the x86 features that glibc found at process start; None before glibc 2.33 and on other systems."""
    try:
        import ctypes

        lookup = ctypes.CDLL(None)["__x86_get_cpuid_feature_leaf"]
    except (ImportError, AttributeError, OSError, TypeError):
        return None
    lookup.argtypes, lookup.restype = [ctypes.c_uint], ctypes.POINTER(ctypes.c_uint32 * 8)
    leaves = {index: lookup(index).contents for index in (LEAF_7, LEAF_7_1)}
    return frozenset(name for name, (leaf, register, bit) in X86_BITS.items() if leaves[leaf][register] >> bit & 1)


def measured_on() -> dict[str, str | None]:
    """Describe this CPU for a manifest: name, architecture, INT8 instructions.

    Clock rates are left out, so machines of one kind give the same values.
    """
    cpu = this_cpu()
    return {"cpu": re.sub(r"\s*@.*", "", cpu.name), "machine": cpu.machine, "int8": cpu.int8}


def shown_cpu(found: Mapping[str, str | None]) -> str:
    """Format the result of `measured_on` for a reader."""
    form = INT8_NAMES.get(str(found.get("int8")))
    return ", ".join(filter(None, [str(found.get("cpu")), str(found.get("machine")), form]))


@cache
def warn_once(message: str, stacklevel: int, category: type[UserWarning] = SaturationWarning) -> None:
    """Warn once per process and message.

    Args:
        message: The fact, and the remedy.
        stacklevel: As in `warnings.warn`, counted from the caller of this function.
        category: The warning's class.
    """
    warnings.warn(message, category, stacklevel=stacklevel + 1)
