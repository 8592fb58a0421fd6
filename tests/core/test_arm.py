"""The ARM kernels on emulated processors: the integers of plain C, and the answers of this machine.

Needs zig and qemu: `pip install ziglang`, `bench/qemu-setup`.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from core_building import CORE, QEMU, load_script, needs_qemu, needs_zig

pytestmark = [needs_zig, needs_qemu, pytest.mark.slow]

# Processors, and the kernels that each of them runs beside plain C, the fastest first.
KERNELS = {
    "cortex-a53": ["neon"],
    "cortex-a72": ["neon"],
    "neoverse-n1": ["neon-dotprod", "neon"],
    "neoverse-v1": ["neon-i8mm", "neon-dotprod", "neon"],
}
TEXTS = ([2, 7, 9, 3], [2, 3], [2, *range(30, 60), 3])


def built(source: Path, out: Path) -> Path:
    """A program for ARM that needs no other file."""
    build = load_script("build").find_build("musllinux-aarch64", ("-static", "-Werror", f"-I{CORE}"))
    return build.program([source], out)


def run(cpu: str, *command: str | Path) -> str:
    ran = subprocess.run([QEMU, "-cpu", cpu, *command], capture_output=True, text=True, timeout=900, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(CORE / "tests" / "kernels.c", tmp_path_factory.mktemp("kernels") / "kernels")


@pytest.fixture(scope="module")
def classify(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(CORE.parent / "examples" / "c" / "classify.c", tmp_path_factory.mktemp("classify") / "classify")


@pytest.mark.parametrize("cpu", KERNELS)
def test_arm_kernels_equal_plain_c(cpu: str, kernels: Path) -> None:
    lines = run(cpu, kernels).splitlines()
    assert [line.partition(":")[0] for line in lines] == KERNELS[cpu]
    assert all(line.endswith(" 0 wrong") for line in lines)


@pytest.mark.parametrize("cpu", KERNELS)
def test_arm_answers_are_those_of_plain_c_here(
    cpu: str, classify: Path, classifier_checkpoint: Path, tmp_path: Path
) -> None:
    from c_example import write_model

    from edgebert.runtime.encode import Encoded
    from edgebert.runtime.sessions.core import CoreSession, unusable

    if unusable():
        pytest.skip(unusable())
    model = write_model(classifier_checkpoint, "text-classification", tmp_path / "core.bin", 40)
    (tmp_path / "ids.txt").write_text("".join(f"{' '.join(map(str, text))}{os.linesep}" for text in TEXTS))
    there = [line.split(" ") for line in run(cpu, classify, "--raw", model, tmp_path / "ids.txt").splitlines()]
    session = CoreSession(model, 1, (), (), "portable")
    here = session.run_ragged([Encoded(list(text), [0] * len(text)) for text in TEXTS])
    # The integers are equal; FP32 between them may differ in its last bits, which moves some of the quantized values.
    np.testing.assert_allclose(np.array(there, np.float32), np.stack([row for (row,) in here]), atol=2e-3)
