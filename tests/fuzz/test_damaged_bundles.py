"""Damaged and forged bundles are refused in one line or answer; nothing outside their folder is used."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fuzz.damage import VALUES, damaged_bytes, damaged_json
from fuzz.tally import TALLY, assert_line, examples
from hypothesis import given
from hypothesis import strategies as st

import edgebert
from edgebert.cli import main
from edgebert.errors import BundleError, EdgeBertError
from edgebert.manifest import MANIFEST, sealed

TEXTS = ["a good film", "the story was dull and cold", "so"]
RUNTIMES = [None, None, None, None, None, None, None, "openvino"]


@pytest.fixture(scope="session")
def place(built: Path, scratch: Path) -> Path:
    """Where the bundle is copied to; beside it is another one, which no bundle may lead to."""
    other = built.with_name(f"{built.name}.stages") / "2-distill"
    shutil.copytree(other, scratch / "bundles" / "other")
    return scratch / "bundles" / "bundle"


@pytest.fixture(scope="session")
def answers(built: Path) -> dict[str | None, Any]:
    return {runtime: edgebert.load(built, runtime=runtime)(TEXTS) for runtime in set(RUNTIMES)}


@pytest.fixture(scope="session")
def other_answers(place: Path) -> Any:
    return edgebert.load(place.with_name("other"))(TEXTS)


class Opened:
    """Records the files that Python opens."""

    def __init__(self) -> None:
        self.watching = False
        self.paths: list[tuple[str, int]] = []
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.watching and event == "open" and isinstance(arguments[0], str | bytes):
            self.paths.append((os.fsdecode(arguments[0]), arguments[2]))

    @contextmanager
    def inside(self, folder: Path) -> Iterator[None]:
        """Hold that nothing is written, and nothing is read but the folder, Python and the machine's description."""
        own = tuple(f"{root}{os.sep}" for root in (folder, sys.prefix, sys.base_prefix, Path(edgebert.__file__).parent))
        self.paths, self.watching = [], True
        try:
            yield
        finally:
            self.watching = False
        allowed = (*own, "/proc/", "/sys/", "/dev/", str(folder))
        outside = [path for path, _ in self.paths if not os.path.realpath(path).startswith(allowed)]
        written = [path for path, flags in self.paths if flags & (os.O_WRONLY | os.O_RDWR)]
        assert not outside
        assert not written


@pytest.fixture(scope="session")
def opened() -> Opened:
    return Opened()


def fresh(built: Path, place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return Path(shutil.copytree(built, place))


def link_out(path: Path) -> None:
    path.unlink()
    other = path.parent.parent / "other" / path.name
    path.symlink_to(other if other.is_file() else Path("/etc/hostname"))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def swapped(path: Path) -> None:
    other = path.with_name("config.json" if path.name != "config.json" else "tokenizer.json")
    content = path.read_bytes()
    path.write_bytes(other.read_bytes() if other.is_file() else b"")
    if other.is_file():
        other.write_bytes(content)


# Changes to one file of a bundle, besides changes to its bytes.
ACCIDENTS: list[Callable[[Path], object]] = [
    Path.unlink,
    lambda path: path.write_bytes(b""),
    lambda path: path.rename(f"{path}.bak"),
    lambda path: path.with_name("more.onnx").write_bytes(path.read_bytes()),
    lambda path: path.with_name(f"{path.name}.data").write_bytes(b"x"),
    link_out,
    a_folder,
    a_pipe,
    swapped,
]


def names(built: Path) -> list[str]:
    return sorted(path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file())


def test_damaged_bundles(built: Path, place: Path, answers: dict[str | None, Any], opened: Opened) -> None:
    """With any change to the files, a bundle that still opens gives the same answers."""

    @examples(brief=60, long=2000)
    @given(st.data(), st.sampled_from(RUNTIMES))
    def is_refused_or_answers_as_before(data: st.DataObject, runtime: str | None) -> None:
        folder = fresh(built, place)
        name = data.draw(st.sampled_from([MANIFEST, *names(built)]))
        path, content = folder / name, (built / name).read_bytes()
        change = data.draw(st.sampled_from(["bytes", "bytes", "accident", "values"]))
        if change == "accident":
            data.draw(st.sampled_from(ACCIDENTS))(path)
        elif change == "values" and name == MANIFEST:
            path.write_bytes(data.draw(damaged_json(json.loads(content))))
        else:
            path.write_bytes(data.draw(damaged_bytes(content)))
        try:
            with opened.inside(folder):
                found = edgebert.load(folder, runtime=runtime)(TEXTS)
        except BundleError as error:
            assert_line(error, str(folder))
            TALLY.add("damaged bundles", "refused")
        else:
            assert found == answers[runtime]
            TALLY.add("damaged bundles", "answered as before")

    is_refused_or_answers_as_before()


def test_forged_manifests(
    built: Path, place: Path, other_answers: Any, opened: Opened, capsys: pytest.CaptureFixture[str]
) -> None:
    """Any manifest with a valid hash gives an error in one line, or an answer of its own graph."""
    document = json.loads((built / MANIFEST).read_text())

    @examples(brief=60, long=2000)
    @given(damaged_json(document), st.sampled_from(RUNTIMES))
    def is_refused_or_answers(forged: bytes, runtime: str | None) -> None:
        folder = fresh(built, place)
        # Some documents have no hash because they cannot be written.
        with suppress(ValueError, RecursionError, TypeError, AttributeError):
            forged = json.dumps(sealed(json.loads(forged))).encode()
        (folder / MANIFEST).write_bytes(forged)
        try:
            with opened.inside(folder):
                found = edgebert.load(folder, runtime=runtime)(TEXTS)
        except EdgeBertError as error:
            assert_line(error)
            TALLY.add("forged manifests", "refused")
        else:
            assert found != other_answers
            TALLY.add("forged manifests", "answered")
        for command in ("inspect", "verify"):
            assert main([command, str(folder)]) in (0, 2)
        capsys.readouterr()

    is_refused_or_answers()


def test_values_of_every_kind_are_tried() -> None:
    kinds = {type(value) for value in VALUES}
    assert kinds == {type(None), bool, int, float, str, list, dict}
