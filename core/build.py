"""Build the native core with a C compiler: `python core/build.py`, or for another machine with `--target`.

If the machine has no compiler, the one in the `ziglang` package is used, if it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CORE = Path(__file__).resolve().parent
OUT = CORE.parent / "edgebert" / "lib"
COMMON = [
    "-std=c11",
    "-D_GNU_SOURCE",
    "-DEDGEBERT_CORE_BUILD",
    "-g0",
    "-Wall",
    "-Wextra",
    "-ffp-contract=off",
    "-fno-math-errno",
]
AVX2, AVX512 = ["-mavx2", "-mfma"], ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"]
# Files for one instruction set, and their compiler flags. All other files are for every processor.
X86 = {
    "arithmetic_avx2": AVX2,
    "arithmetic_avx512": AVX512,
    "arithmetic_avx512bf16": [*AVX512, "-mavx512bf16"],
    "arithmetic_amx": [*AVX512, "-mavx512bf16", "-mamx-tile", "-mamx-bf16"],
    "products_amx": ["-mamx-tile", "-mamx-int8"],
    "products_avx2": AVX2,
    "products_avx512vnni": [*AVX512, "-mavx512vnni"],
    "products_avxvnni": [*AVX2, "-mavxvnni"],
    # Used only by the tests.
    "amx_plain": [],
    "attention_amx_plain": [*AVX512, "-mavx512bf16"],
    "avxvnni_evex": [*AVX512, "-mavx512vnni"],
}
ARM: dict[str, list[str]] = {
    "arithmetic_neon": [],
    "products_neon": [],
    "products_neon_dotprod": ["-march=armv8.2-a+dotprod"],
    "products_neon_i8mm": ["-march=armv8.2-a+dotprod+i8mm"],
}
ZIG = "ziglang"
# Names of the targets in zig, each with the oldest C library or macOS that the wheel supports.
TARGETS = {
    "linux-x86_64": "x86_64-linux-gnu.2.17",
    "linux-aarch64": "aarch64-linux-gnu.2.17",
    "musllinux-x86_64": "x86_64-linux-musl",
    "musllinux-aarch64": "aarch64-linux-musl",
    "macos-x86_64": "x86_64-macos.11.0",
    "macos-arm64": "aarch64-macos.11.0",
    "windows-x86_64": "x86_64-windows-gnu",
}


class NoCompilerError(Exception):
    """No C compiler was found."""


@dataclass(frozen=True)
class Build:
    """How to build: compiler command, whether the target is ARM, additional flags, and file name of the library."""

    command: tuple[str, ...]
    arm: bool
    flags: tuple[str, ...]
    library: str

    def sources(self) -> dict[Path, list[str]]:
        """Return the files to compile, each with its flags."""
        return self._flags(sorted((CORE / "src").glob("*.c")))

    def _flags(self, files: Sequence[Path]) -> dict[Path, list[str]]:
        own, foreign = (ARM, X86) if self.arm else (X86, ARM)
        return {file: own.get(file.stem, []) for file in files if file.stem not in foreign}

    def run(self, out: Path) -> Path:
        """Compile and link the library. It is moved into the folder only when it is complete."""
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as work:
            objects = self._objects(self.sources(), Path(work))
            built = Path(work) / self.library
            self._call(["-shared", "-o", str(built), *map(str, objects), *self._link()])
            if self.library.endswith(".dll"):
                _clear_time(built)
            # Rename within the folder: a process that has the old library open can continue to use it.
            whole = out / f".{self.library}.{os.getpid()}"
            shutil.copyfile(built, whole)
            os.replace(whole, out / self.library)
        return out / self.library

    def _link(self) -> list[str]:
        if self.library.endswith(".dll"):
            return ["-s"]
        # On macOS, programs look for a library at its install name. The default would be the temporary folder.
        name = f"-Wl,-install_name,@rpath/{self.library}" if self.library.endswith(".dylib") else "-s"
        return [name, "-lm", "-lpthread"]

    def program(self, files: Sequence[Path], out: Path, core: Sequence[Path] = ()) -> Path:
        """Compile a C program that includes the whole core: a test or a fuzzer.

        Args:
            files: The program's own C files.
            out: The program to write.
            core: The core's object files from `objects`, for several programs; without them the core is compiled here.
        """
        with tempfile.TemporaryDirectory() as work:
            made = self._objects(self._flags(files) if core else {**self.sources(), **self._flags(files)}, Path(work))
            self._call(["-o", str(out), *map(str, (*core, *made)), "-lm", "-lpthread"])
        return out

    def objects(self, folder: Path) -> list[Path]:
        """Compile the core into object files in a folder."""
        return self._objects(self.sources(), folder)

    def _objects(self, sources: dict[Path, list[str]], folder: Path) -> list[Path]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(lambda item: self._compile(*item, folder), sources.items()))

    def _compile(self, source: Path, flags: list[str], work: Path) -> Path:
        made = work / f"{source.stem}.o"
        shared = [] if self.library.endswith(".dll") else ["-fPIC"]
        if ZIG in self.command:  # zig selects instruction sets only by -mcpu
            flags = [flag.replace("-march=armv8.2-a", "-mcpu=generic") for flag in flags]
        # Sanitizers make the unrolled kernels ten times as large. At -O3, compiling them takes minutes and a gigabyte.
        level = "-O1" if any(flag.startswith("-fsanitize") for flag in self.flags) else "-O3"
        self._call([*COMMON, level, *shared, "-fvisibility=hidden", *flags, "-c", str(source), "-o", str(made)])
        return made

    def _call(self, arguments: list[str]) -> None:
        subprocess.run([*self.command, *self.flags, *arguments], check=True)


def find_build(target: str | None, flags: tuple[str, ...] = ()) -> Build:
    """Find out how to build for this machine (None) or for one of `TARGETS`.

    Raises:
        NoCompilerError: No compiler for this target was found.
    """
    if target is not None:
        arm = "aarch64" in TARGETS[target] or "arm64" in target
        return Build((*_zig(arm), "-target", TARGETS[target]), arm, flags, library_name(target))
    arm = platform.machine().lower() in ("aarch64", "arm64")
    given = os.environ.get("CC")
    command = given.split() if given else next(([name] for name in ("gcc", "clang", "cc") if shutil.which(name)), None)
    return Build(tuple(command or _zig(arm)), arm, flags, library_name(platform.system().lower()))


def _clear_time(library: Path) -> None:
    """Clear the time stamp that the linker wrote into a Windows library, so that builds are reproducible."""
    data = bytearray(library.read_bytes())
    header = int.from_bytes(data[0x3C:0x40], "little")
    data[header + 8 : header + 12] = bytes(4)
    library.write_bytes(data)


def library_name(system: str) -> str:
    """Return the file name of the library on an operating system."""
    if system.startswith("windows"):
        return "edgebert_core.dll"
    return "libedgebert_core.dylib" if system.startswith(("macos", "darwin")) else "libedgebert_core.so"


def _zig(arm: bool) -> list[str]:
    if importlib.util.find_spec(ZIG) is None:
        raise NoCompilerError("no C compiler: install gcc or clang, or `pip install ziglang`")
    # Without -mcpu, zig would use every instruction set of this processor.
    return [sys.executable, "-m", ZIG, "cc", "-mcpu=generic" if arm else "-mcpu=x86_64"]


def main() -> int:
    """Parse the arguments and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=sorted(TARGETS), help="another machine, by zig; default: this one")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the library (default: edgebert/lib)")
    parser.add_argument("--flags", default="", help='more flags, for example "-fsanitize=address,undefined -g"')
    parser.add_argument(
        "--program", type=Path, nargs="+", help="C files to compile with the core into OUT, in place of a library"
    )
    parser.add_argument("--if-possible", action="store_true", help="if it cannot be built, only print a message")
    arguments = parser.parse_args()
    try:
        build = find_build(arguments.target, tuple(arguments.flags.split()))
        print(build.program(arguments.program, arguments.out) if arguments.program else build.run(arguments.out))
    except NoCompilerError as error:
        print(f"core: {error}", file=sys.stderr)
        return 0 if arguments.if_possible else 2
    except subprocess.CalledProcessError:
        print("core: the compiler failed, see above; `pip install ziglang` brings another", file=sys.stderr)
        return 0 if arguments.if_possible else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
