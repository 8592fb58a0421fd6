"""Compare installed versions with the lowest ones in the package's metadata (pyproject.toml).

`bench/lowest/run.py` tests the lowest versions; docs/reference/versions.md says what fails below each.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from edgebert.errors import MissingDependencyError

# Lowest versions that a prediction checks. Copied from pyproject.toml, because reading metadata adds 20 ms to a cold
# start.
OLDEST = {"onnxruntime": "1.21.0", "openvino": "2026.3.0", "tokenizers": "0.20.3", "pyarrow": "17.0.0"}
# Extras for one tool, named after it; everything else for exports is in the extra `export`.
OWN_EXTRAS = ("openvino", "nncf", "neural-compressor")
INSTALL = {"onnxruntime": "edgebert", "openvino": "edgebert[openvino]", "tokenizers": "edgebert"}
INSTALL["pyarrow"] = "edgebert[parquet]"

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)\s*(\[[^]]*\])?\s*(?P<versions>[^;]*)(;(?P<marker>.*))?")
_FLOOR = re.compile(r"[>=]=\s*([0-9][0-9.]*)")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


@dataclass(frozen=True)
class Requirement:
    """A package that EdgeBERT depends on.

    Attributes:
        package: Its name on the package index.
        extra: The extra that installs it; empty for the device's own dependencies.
        floor: The lowest allowed version; empty if every version is allowed.
    """

    package: str
    extra: str
    floor: str


def parse_requirement(line: str) -> Requirement:
    """Read one requirement of a package's metadata, for example `openvino>=2026.3.0; extra == "openvino"`."""
    found = _REQUIREMENT.match(line.strip())
    if found is None:
        raise ValueError(f"not a requirement: {line!r}")
    floor, extra = _FLOOR.search(found["versions"]), _EXTRA.search(found["marker"] or "")
    return Requirement(found["name"], extra[1] if extra else "", floor[1] if floor else "")


def requirements() -> list[Requirement]:
    """Dependencies of the installed EdgeBERT from its metadata; empty if it runs from a folder without metadata."""
    from importlib import metadata

    try:
        lines = metadata.requires("edgebert") or []
    except metadata.PackageNotFoundError:
        return []
    return [parse_requirement(line) for line in lines]


def installed_version(package: str) -> str | None:
    """Version of an installed package; None if it is missing."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def is_older(version: str, floor: str) -> bool:
    """Whether a version is below a floor. Numbers are compared one by one; anything after them is ignored."""
    return _numbers(version) < _numbers(floor)


def check_version(package: str, version: str) -> None:
    """Refuse a version of a device package below its floor.

    Args:
        package: A key of `OLDEST`.
        version: The version that the imported module reports.

    Raises:
        MissingDependencyError: The package is too old; the message says how to upgrade.
    """
    floor = OLDEST[package]
    if is_older(version, floor):
        raise MissingDependencyError(_too_old(package, version, floor, INSTALL[package]))


def not_imported(package: str, error: ImportError) -> MissingDependencyError:
    """Make the error for a device package that is not installed, or whose own dependencies cannot be loaded."""
    if isinstance(error, ModuleNotFoundError) and error.name == package:
        return MissingDependencyError(f"{package} is not installed; pip install {INSTALL[package]}")
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return MissingDependencyError(
        f"{package} is installed, but cannot be loaded ({reason:.300}); pip install --force-reinstall {package}, "
        "or install what its message names"
    )


def check_installed(packages: Collection[str]) -> None:
    """Refuse to start an export if a package is missing or below its floor.

    Args:
        packages: Names on the package index.

    Raises:
        MissingDependencyError: One is missing or too old; the message names all of them and the extras that bring them.
    """
    floors = {each.package: each.floor for each in requirements() if each.extra == _extra_of(each.package)}
    versions = {package: installed_version(package) for package in packages}
    missing = [package for package, version in versions.items() if version is None]
    if missing:
        extras = ",".join(dict.fromkeys(map(_extra_of, missing)))
        raise MissingDependencyError(f"{', '.join(missing)} not installed; pip install 'edgebert[{extras}]'")
    for package, version in versions.items():
        floor = floors.get(package, "")
        if version and floor and is_older(version, floor):
            raise MissingDependencyError(_too_old(package, version, floor, f"edgebert[{_extra_of(package)}]"))


def _extra_of(package: str) -> str:
    """Name the extra that installs a package for exports."""
    return package if package in OWN_EXTRAS else "export"


def _too_old(package: str, version: str, floor: str, install: str) -> str:
    release = version.partition("-")[0]
    return (
        f"{package} {release} is older than the oldest that works ({floor}); "
        f"pip install '{package}>={floor}' (or pip install --upgrade '{install}')"
    )


def _numbers(version: str) -> tuple[int, ...]:
    """Leading numbers of a version, without zeros at the end, so 2026.3 equals 2026.3.0."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(part) for part in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
