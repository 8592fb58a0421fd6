"""The wheels of `core/wheels.py`: what is in them, their tags, and that their libraries open."""

import base64
import csv
import hashlib
import io
import platform
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from core_building import QEMU, load_script, needs_qemu, needs_zig

pytestmark = pytest.mark.slow

# First bytes of a library: ELF with its machine, Mach-O with its processor, Windows' MZ.
MACHINES = {
    "linux-x86_64": (b"\x7fELF", 18, 62),
    "linux-aarch64": (b"\x7fELF", 18, 183),
    "musllinux-x86_64": (b"\x7fELF", 18, 62),
    "musllinux-aarch64": (b"\x7fELF", 18, 183),
    "macos-x86_64": (b"\xcf\xfa\xed\xfe", 4, 7),
    "macos-arm64": (b"\xcf\xfa\xed\xfe", 4, 12),
    "windows-x86_64": (b"MZ", None, None),
}
TAGS = {
    "linux-x86_64": ["py3-none-manylinux_2_17_x86_64", "py3-none-manylinux2014_x86_64"],
    "linux-aarch64": ["py3-none-manylinux_2_17_aarch64", "py3-none-manylinux2014_aarch64"],
    "musllinux-x86_64": ["py3-none-musllinux_1_2_x86_64"],
    "musllinux-aarch64": ["py3-none-musllinux_1_2_aarch64"],
    "macos-x86_64": ["py3-none-macosx_11_0_x86_64"],
    "macos-arm64": ["py3-none-macosx_11_0_arm64"],
    "windows-x86_64": ["py3-none-win_amd64"],
}


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that pip builds from the sources, or a skip where pip reaches no package index."""
    try:
        return load_script("wheels").build_pure(tmp_path_factory.mktemp("pure"))
    except subprocess.CalledProcessError:
        pytest.skip("pip cannot build a wheel here")


@pytest.fixture(scope="module")
def wheel_for(pure: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the wheel of a target, once."""

    @cache
    def made(target: str) -> Path:
        folder = tmp_path_factory.mktemp(target)
        return load_script("wheels").make_wheel(pure, target, folder, folder)

    return made


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def info(files: dict[str, bytes], name: str) -> str:
    (found,) = (data for path, data in files.items() if path.endswith(f".dist-info/{name}"))
    return found.decode()


def check_record(files: dict[str, bytes]) -> None:
    """Every file is recorded with its hash and its size, and nothing else is."""
    rows = {name: (digest, size) for name, digest, size in csv.reader(io.StringIO(info(files, "RECORD")))}
    assert set(rows) == set(files)
    for name, data in files.items():
        if not name.endswith("/RECORD"):
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            assert rows[name] == (f"sha256={digest}", str(len(data)))


def libraries(files: dict[str, bytes]) -> list[str]:
    return [name for name in files if name.startswith("edgebert/lib/")]


def test_the_pure_wheel_has_no_library_and_is_the_same_twice(pure: Path, tmp_path: Path) -> None:
    wheels = load_script("wheels")
    (tmp_path / "again").mkdir()
    made = [wheels.make_wheel(pure, "pure", folder, tmp_path) for folder in (tmp_path, tmp_path / "again")]
    assert made[0].read_bytes() == made[1].read_bytes()
    files = contents(made[0])
    assert made[0].name.endswith("-py3-none-any.whl")
    assert "Root-Is-Purelib: true" in info(files, "WHEEL")
    assert libraries(files) == []
    assert "edgebert/py.typed" in files
    check_record(files)


@needs_zig
@pytest.mark.parametrize("target", TAGS)
def test_a_wheel_of_a_platform_is_the_pure_one_with_its_library(
    target: str, wheel_for: Callable[[str], Path], pure: Path
) -> None:
    path = wheel_for(target)
    files, plain = contents(path), contents(pure)
    tags = [line.removeprefix("Tag: ") for line in info(files, "WHEEL").splitlines() if line.startswith("Tag:")]
    assert tags == TAGS[target]
    assert path.name.endswith(f"-py3-none-{'.'.join(tag.removeprefix('py3-none-') for tag in tags)}.whl")
    assert "Root-Is-Purelib: false" in info(files, "WHEEL")
    (library,) = libraries(files)
    changed = {name for name in plain if name in files and files[name] != plain[name]}
    assert set(files) - set(plain) == {library}
    assert {name.partition(".dist-info/")[2] for name in changed} == {"WHEEL", "RECORD"}
    check_record(files)
    magic, at, machine = MACHINES[target]
    assert files[library].startswith(magic)
    assert at is None or int.from_bytes(files[library][at : at + 2], "little") == machine


@needs_zig
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="installs a wheel for Linux x86_64"
)
def test_an_installed_wheel_has_a_library_that_opens(wheel_for: Callable[[str], Path], tmp_path: Path) -> None:
    musl = Path("/lib/ld-musl-x86_64.so.1").exists()
    path = wheel_for("musllinux-x86_64" if musl else "linux-x86_64")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", path], check=True)
    code = (
        "import ctypes, pathlib, edgebert\n"
        "lib = ctypes.CDLL(next((pathlib.Path(edgebert.__file__).parent / 'lib').iterdir()))\n"
        "lib.edgebert_kernel_name.restype = ctypes.c_char_p\n"
        "names = [lib.edgebert_kernel_name(n) for n in range(9)]\n"
        "print(edgebert.__file__, names[names.index(None) - 1])"
    )
    ran = subprocess.run([python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert str(tmp_path / "venv") in ran.stdout
    assert ran.stdout.endswith("b'portable'\n")


@needs_zig
@needs_qemu
def test_the_library_of_arm_linux_opens_on_an_emulated_core(wheel_for: Callable[[str], Path], tmp_path: Path) -> None:
    files = contents(wheel_for("linux-aarch64"))
    (name,) = libraries(files)
    (tmp_path / "core.so").write_bytes(files[name])
    root = QEMU.parent / "root"
    code = (
        f"import ctypes; lib = ctypes.CDLL({str(tmp_path / 'core.so')!r})\n"
        "lib.edgebert_kernel_name.restype = ctypes.c_char_p\n"
        "print(lib.edgebert_kernel_name(0).decode())"
    )
    command = [QEMU, "-cpu", "neoverse-n1", "-L", root, root / "usr" / "bin" / "python3.11", "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "neon-dotprod\n"), ran.stderr


@needs_zig
@pytest.mark.skipif(shutil.which("objdump") is None, reason="no objdump here")
@pytest.mark.parametrize("target", ["linux-x86_64", "linux-aarch64"])
def test_a_library_for_glibc_needs_no_later_version_than_its_tag(
    target: str, wheel_for: Callable[[str], Path], tmp_path: Path
) -> None:
    files = contents(wheel_for(target))
    (name,) = libraries(files)
    (tmp_path / "core.so").write_bytes(files[name])
    listed = subprocess.run(["objdump", "-p", tmp_path / "core.so"], capture_output=True, text=True, check=True).stdout
    versions = {tuple(map(int, word[6:].split("."))) for word in listed.split() if word.startswith("GLIBC_2")}
    assert versions
    assert max(versions) <= (2, 17)
