"""For tests of the native core: its build script, the compiler for other machines, and emulated ARM processors."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgebert.measure.targets.emulated import arm_folder

CORE = Path(__file__).resolve().parents[1] / "core"
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
