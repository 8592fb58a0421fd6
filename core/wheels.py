"""Build the wheels with `python core/wheels.py`: one per platform with the native core, and a pure one without it.

pip builds the pure wheel. The others are copies of it with a library and another platform tag. The bytes of a wheel
depend only on the sources, zig and zlib.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import build

ROOT = build.CORE.parent
PURE = "pure"
# Platform tag of the wheel for each of build.TARGETS (packaging.python.org, platform compatibility tags).
PLATFORMS = {
    "linux-x86_64": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "linux-aarch64": "manylinux_2_17_aarch64.manylinux2014_aarch64",
    "musllinux-x86_64": "musllinux_1_2_x86_64",
    "musllinux-aarch64": "musllinux_1_2_aarch64",
    "macos-x86_64": "macosx_11_0_x86_64",
    "macos-arm64": "macosx_11_0_arm64",
    "windows-x86_64": "win_amd64",
}
# Date of every entry, so that builds are reproducible: the earliest date that zip supports.
DATE = (1980, 1, 1, 0, 0, 0)


def build_pure(work: Path) -> Path:
    """Build the wheel without a library, from a copy of the sources, so that no build files remain among them."""
    source = work / "source"
    for name in ("edgebert", "profiles", "export"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("lib", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(work), str(source)]
    subprocess.run(command, check=True)
    return next(work.glob("*.whl"))


def read_wheel(wheel: Path) -> dict[str, bytes]:
    """Read the files of a wheel, by name, without RECORD."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith((".dist-info/RECORD", "/"))]
        return {name: archive.read(name) for name in names}


def retag(files: Mapping[str, bytes], platform: str, library: Path) -> dict[str, bytes]:
    """Add a library to the files of the pure wheel, and replace its platform tag."""
    name = next(name for name in files if name.endswith(".dist-info/WHEEL"))
    kept = [
        "Root-Is-Purelib: false" if line.startswith("Root-Is-Purelib:") else line
        for line in files[name].decode().splitlines()
        if line and not line.startswith("Tag:")
    ]
    tags = [f"Tag: py3-none-{part}" for part in platform.split(".")]
    return {
        **files,
        name: "".join(f"{line}\n" for line in (*kept, *tags)).encode(),
        f"edgebert/lib/{library.name}": library.read_bytes(),
    }


def write_wheel(files: Mapping[str, bytes], path: Path) -> Path:
    """Write a wheel with its RECORD. Entries are sorted by name and have the same date."""
    info = next(name for name in files if name.endswith(".dist-info/WHEEL")).removesuffix("WHEEL")
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in sorted(files.items()))
    last = {f"{info}RECORD": f"{record}{info}RECORD,,\n".encode()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (*sorted(files.items()), *last.items()):
            entry = zipfile.ZipInfo(name, DATE)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED, 9)
    return path


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def make_wheel(pure: Path, target: str, out: Path, work: Path) -> Path:
    """Make the wheel for one of `PLATFORMS`, or the pure one, from the wheel that pip built."""
    files = read_wheel(pure)
    if target == PURE:
        return write_wheel(files, out / pure.name)
    library = build.find_build(target).run(work / target)
    name = pure.name.replace("-none-any", f"-none-{PLATFORMS[target]}")
    return write_wheel(retag(files, PLATFORMS[target], library), out / name)


def main() -> int:
    """Parse the arguments and build."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    choices = [*PLATFORMS, PURE]
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(choices)}; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="folder for the wheels (default: dist)")
    arguments = parser.parse_args()
    unknown = [target for target in arguments.targets if target not in choices]
    if unknown:
        parser.error(f"there is no target {unknown[0]}; use {', '.join(choices)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory() as work:
            pure = build_pure(Path(work))
            for target in arguments.targets or choices:
                print(make_wheel(pure, target, arguments.out, Path(work)), flush=True)
    except build.NoCompilerError as error:
        print(f"wheels: {error}", file=sys.stderr)
        return 2
    except subprocess.CalledProcessError as error:
        print(f"wheels: {error.cmd[0]} failed, see above", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
