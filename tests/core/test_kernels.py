"""Every kernel of the native core gives the integers of plain C, and its arithmetic keeps its promised errors."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import pytest
from core_building import CORE, load_script

SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g")


@pytest.mark.parametrize("flags", [(), SANITIZERS], ids=["as it is", "sanitizers"])
@pytest.mark.parametrize("program", ["kernels", "arithmetic"])
def test_kernels_are_exact(program: str, flags: tuple[str, ...], tmp_path: Path) -> None:
    """The program of core/tests succeeds; it says what differs."""
    built = build(program, flags, tmp_path)
    ran = subprocess.run([built], capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def build(program: str, flags: tuple[str, ...], folder: Path) -> Path:
    """Compile a test program with the core, or skip."""
    core = load_script("build")
    try:
        plan = core.find_build(None)
    except core.NoCompilerError as error:
        pytest.skip(str(error))
    if flags and not links(plan.command, flags, folder):
        pytest.skip(f"{plan.command[0]} has no sanitizers here")
    others = ["amx_plain", "avxvnni_evex"] if platform.machine() in ("x86_64", "AMD64") else []
    files = [CORE / "tests" / f"{name}.c" for name in (program, *others)]
    return core.find_build(None, flags).program(files, folder / program)


def links(command: tuple[str, ...], flags: tuple[str, ...], folder: Path) -> bool:
    """Whether an empty program builds and runs with these flags."""
    source, out = folder / "empty.c", folder / "empty"
    source.write_text("int main(void) { return 0; }\n")
    made = subprocess.run([*command, *flags, str(source), "-o", str(out)], capture_output=True, check=False)
    return made.returncode == 0 and subprocess.run([out], capture_output=True, check=False).returncode == 0
