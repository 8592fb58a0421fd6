"""Model files that are damaged, or not what they say: refused with a reason, and never read out of bounds."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from core_building import SANITIZERS, build_program
from core_files import write_models

from edgebert.errors import BundleError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.sessions.core import CoreSession, unusable

# A file is then memory of exactly its size: core/tests/probe.h.
WRAPPED = "-Wl,--wrap=map_file,--wrap=unmap_file"
# Random changes a file, and one of how many of all others.
COUNT, STEP = (2000, 1) if os.environ.get("EDGEBERT_FUZZ") == "long" else (40, 20)
LIBRARY = pytest.mark.skipif(bool(unusable()), reason=unusable())


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Treat them as read-only."""
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.mark.slow
def test_no_damaged_file_is_read_out_of_bounds(models: list[Path], tmp_path: Path, run_folder: Path) -> None:
    program = build_program("damaged", (*SANITIZERS, WRAPPED), tmp_path, run_folder)
    command = [program, "1", str(COUNT), str(STEP), *models]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    opened, refused = map(int, re.findall(r"(\d+) (?:opened|refused)", ran.stdout))
    assert opened >= 100
    assert refused >= 1000


def header(at: int, form: str, value: int) -> Callable[[bytes], bytes]:
    return lambda file: file[:at] + struct.pack(form, value) + file[at + struct.calcsize(form) :]


@LIBRARY
@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda file: b"", "cannot be mapped"),
        (lambda file: file[:63], "this is no EdgeBERT model file"),
        (lambda file: file[: len(file) // 2], "bytes, but its header says"),
        (lambda file: file + b"\0", "bytes, but its header says"),
        (lambda file: b"PK\x03\x04" + file[4:], "this is no EdgeBERT model file"),
        (header(8, "<I", 2), "the file has format 2; this library reads 1"),
        (header(12, ">I", 0x01020304), "the file has another byte order than this processor"),
        (header(24, "<I", 0xFFFFFFFF), "the file ends within its description"),
        (header(28, "<I", 0xFFFFFFFF), "the file ends within its description"),
        (header(60, "<I", 1), "the header has fields of a later format"),
        (header(64, "<I", 5), "numbers of kind 5, not"),
        (header(68, "<I", 1), "tensor 0 is of a later format"),
        (header(72, "<Q", 1 << 62), "tensor 0 does not lie in the file"),
        (header(72, "<Q", 65), "tensor 0 does not lie in the file"),
        (header(80, "<Q", 1 << 61), "tensor 0 holds 2305843009213693952 numbers"),
    ],
)
def test_a_damaged_file_is_refused_with_its_reason(
    change: Callable[[bytes], bytes], fact: str, models: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / "core.bin"
    file.write_bytes(change(models[0].read_bytes()))
    with pytest.raises(BundleError) as caught:
        CoreSession(file, 1, (), ())
    assert fact in str(caught.value)
    assert "export the bundle again" in str(caught.value)
    assert "\n" not in str(caught.value)


@LIBRARY
@pytest.mark.skipif(os.name != "posix", reason="pipes are of POSIX")
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: None], ids=["folder", "pipe", "nothing"])
def test_what_is_no_file_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "core.bin")
    with pytest.raises(BundleError, match=r"core\.bin: cannot be"):
        CoreSession(tmp_path / "core.bin", 1, (), ())


@LIBRARY
def test_a_file_may_be_replaced_while_it_is_open(models: list[Path], tmp_path: Path) -> None:
    file, text = tmp_path / "core.bin", Encoded([5, 6, 7], [0, 0, 0])
    shutil.copy(models[0], file)
    session = CoreSession(file, 1, (), ())
    (before,) = session.run_ragged([text])
    os.replace(shutil.copy(models[4], tmp_path / "other.bin"), file)
    (after,) = session.run_ragged([text])
    (of_the_other,) = CoreSession(file, 1, (), ()).run_ragged([text])
    assert before[0].tolist() == after[0].tolist()
    assert before[0].shape != of_the_other[0].shape
