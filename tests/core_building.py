"""For tests of the native core: its build script, the compiler for other machines, and emulated ARM processors."""

import hashlib
import importlib.util
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from shared_work import once

from edgebert.measure.targets.emulated import arm_folder

CORE = Path(__file__).resolve().parents[1] / "core"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g")
QEMU = arm_folder() / "qemu-aarch64"

needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="no compiler for other machines; pip install ziglang"
)
needs_qemu = pytest.mark.skipif(not QEMU.is_file(), reason="no emulated ARM here; run bench/qemu-setup")


def load_script(name: str) -> ModuleType:
    """A script of core/ as a module: `build` or `wheels`."""
    spec = importlib.util.spec_from_file_location(f"core_{name}", CORE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def build_program(program: str, flags: tuple[str, ...], out: Path, shared: Path) -> Path:
    """Compile a program of core/tests with the core, or skip.

    Args:
        program: Name of its C file.
        flags: For compiler and linker.
        out: Folder for the program.
        shared: Folder of the run: programs with the same flags for the compiler share the core's object files there.
    """
    core = load_script("build")
    try:
        plan = core.find_build(None)
    except core.NoCompilerError as error:
        pytest.skip(str(error))
    if flags and not _links(plan.command, flags, out):
        pytest.skip(f"{plan.command[0]} has no {' '.join(flags)} here")
    compiled = tuple(flag for flag in flags if not flag.startswith("-Wl,"))
    name = hashlib.sha256(repr(compiled).encode()).hexdigest()[:16]
    objects = once(shared / f"core-objects-{name}", core.find_build(None, compiled).objects)
    others = ["amx_plain", "attention_amx_plain", "avxvnni_evex"] if platform.machine() in ("x86_64", "AMD64") else []
    files = [CORE / "tests" / f"{name}.c" for name in (program, *others)]
    built: Path = core.find_build(None, flags).program(files, out / program, sorted(objects.glob("*.o")))
    return built


def _links(command: tuple[str, ...], flags: tuple[str, ...], folder: Path) -> bool:
    """Whether an empty program builds and runs with these flags."""
    source, out = folder / "empty.c", folder / "empty"
    source.write_text("int main(void) { return 0; }\n")
    made = subprocess.run([*command, *flags, str(source), "-o", str(out)], capture_output=True, check=False)
    return made.returncode == 0 and subprocess.run([out], capture_output=True, check=False).returncode == 0
