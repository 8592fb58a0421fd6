"""A hardware profile: facts about a target machine, and the export settings that follow. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from edgebert.cpu import ARM, INT8_NAMES, X86, Cpu
from edgebert.errors import SettingsError
from edgebert.runtimes import RuntimeName
from edgebert.settings import fill, read_toml, required_within, within


@dataclass(frozen=True)
class Hardware:
    """Facts about the whole device; peaks are theoretical, and a multiply with its add counts as two operations."""

    features: tuple[str, ...]
    cores: int = required_within(1, 65_536)
    clock_ghz: float = required_within(0.01, 100)
    memory_gb: float = required_within(0.01, 1_000_000)
    memory_bandwidth_gb_s: float = required_within(0.01, 1_000_000)
    peak_fp32_gflops: float = required_within(0.01, 1_000_000_000)
    peak_int8_gops: float = required_within(0.01, 1_000_000_000)
    peak_fp16_gflops: float | None = within(None, 0.01, 1_000_000_000)
    power_w: float | None = within(None, 0.01, 1_000_000)


@dataclass(frozen=True)
class ExportChoice:
    """Export settings that follow from the hardware: precision, quantization form, runtime, threads, lengths."""

    precision: Literal["int8", "fp16", "fp32"]
    format: Literal["dynamic", "static"]
    weight_type: Literal["int8", "uint8"]
    activation_type: Literal["int8", "uint8"]
    per_channel: bool
    reduce_range: bool
    runtime: RuntimeName
    provider: str
    length_buckets: tuple[int, ...] = required_within(1, 1 << 20)
    intra_op_threads: int = required_within(1, 1024)


@dataclass(frozen=True)
class Target:
    """One machine to export for, as its profile describes it."""

    name: str
    summary: str
    machine: Literal["x86_64", "aarch64"]
    hardware: Hardware
    sources: dict[str, str]
    export: ExportChoice
    notes: dict[str, str]

    def __post_init__(self) -> None:
        """Refuse a figure without a source, and padding buckets that are not in ascending order."""
        known = {key for key, value in vars(self.hardware).items() if value is not None} - {"features"}
        missing = known - set(self.sources)
        if missing:
            raise ValueError(f"[sources] has no entry for {', '.join(sorted(missing))}; state where each comes from")
        if self.export.format == "dynamic" and self.export.activation_type != "uint8":
            raise ValueError("export.activation_type: dynamic quantization makes uint8 activations; give uint8")
        buckets = self.export.length_buckets
        if not buckets or list(buckets) != sorted(set(buckets)):
            raise ValueError(f"export.length_buckets {list(buckets)}: expected ascending token lengths")


# The profile for a CPU, by its INT8 instructions.
PROFILES = {
    **{"amx": "x86-avx512-vnni", "vnni": "x86-avx512-vnni", "avx2": "x86-avx2", "sse": "x86-avx2"},
    **{"i8mm": "graviton3", "dotprod": "raspberry-pi-5", "neon": "raspberry-pi-4"},
}
# For unknown instructions: weights that are correct on any x86 CPU; on ARM every form is correct.
UNREAD = {X86: "x86-avx2", ARM: "raspberry-pi-5"}


def fitting_profile(cpu: Cpu) -> tuple[str, str]:
    """Return the shipped profile whose INT8 form suits a CPU, and the reason.

    Raises:
        SettingsError: No profile is for such a machine.
    """
    if cpu.int8:
        return PROFILES[cpu.int8], f"this CPU ({cpu.name}) has {INT8_NAMES[cpu.int8]}"
    if cpu.machine in UNREAD:
        return UNREAD[cpu.machine], f"this {cpu.machine} CPU's instructions cannot be read, and it suits all of them"
    raise SettingsError(
        f"no shipped profile is for a {cpu.machine} CPU; name one with --profile: {', '.join(profile_names())}, or a "
        "path ending in .toml"
    )


def profile_names() -> list[str]:
    """Names of the profiles that ship with EdgeBERT."""
    folder = resources.files("edgebert.profiles")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_target(name_or_path: str) -> Target:
    """Read a shipped profile by its name, or a profile of your own by its path.

    Raises:
        SettingsError: No profile of that name, or the file does not describe a target.
    """
    if name_or_path.endswith(".toml"):
        return fill(Target, read_toml(Path(name_or_path)), name_or_path)
    if name_or_path not in profile_names():
        raise SettingsError(
            f"unknown profile '{name_or_path}'; shipped: {', '.join(profile_names())}; or give a path ending in .toml"
        )
    with resources.as_file(resources.files("edgebert.profiles") / f"{name_or_path}.toml") as path:
        return fill(Target, read_toml(path), path.name)
