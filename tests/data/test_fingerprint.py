"""The hash of a data file and of a folder of slots: which bytes it includes."""

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from edgebert.data.fingerprint import fingerprint
from edgebert.errors import DataError

FILES = {"seq.in": "stop\n", "seq.out": "O\n", "label": "Stop\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A split in the three-file slot format."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_it_is_of_the_bytes_on_disk(tmp_path: Path) -> None:
    packed, plain = tmp_path / "d.tsv.gz", tmp_path / "d.tsv"
    plain.write_bytes(b"text\tlabel\na\tb\n")
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert fingerprint(packed) == hashlib.sha256(packed.read_bytes()).hexdigest()
    assert fingerprint(plain) == hashlib.sha256(plain.read_bytes()).hexdigest()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.tsv: cannot be read .*relative to"):
        fingerprint(tmp_path / "no.tsv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "d.tsv")
    with pytest.raises(DataError, match="not a regular file"):
        fingerprint(tmp_path / "d.tsv")


def test_that_of_a_folder_is_of_its_three_files(folder: Path) -> None:
    before = fingerprint(folder)
    assert fingerprint(folder / "seq.in") == before
    (folder / "label").write_text("Go\n")
    changed = fingerprint(folder)
    (folder / "label").rename(folder / "labels")
    assert len({before, changed, fingerprint(folder)}) == 3


def test_other_files_of_a_folder_are_not_read(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "notes.txt").write_text("not of the split")
    (folder / "unreadable").write_text("x")
    (folder / "unreadable").chmod(0)
    (folder / os.fsdecode(b"caf\xe9")).write_text("a name that is not UTF-8")
    assert fingerprint(folder) == fingerprint(folder / "seq.in") == before
