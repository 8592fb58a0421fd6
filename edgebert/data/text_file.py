"""Read text of data files: formats, UTF-8, gzip with a size limit, numbered lines. Standard library only."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgebert.data.formats import TABLES
from edgebert.errors import DataError
from edgebert.escape import name_fault
from edgebert.strict_json import open_regular

# Text compresses three to ten times; a file of zeros a thousand times.
MAX_UNPACKED, MAX_RATIO = 64 << 20, 100


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, or of its `.gz`.

    Raises:
        DataError: The file is missing, empty, incomplete, not UTF-8, or far larger unpacked than packed.
    """
    return _decode(path, _read_bytes(path))


def data_format(path: Path, formats: Sequence[str]) -> str:
    """The suffix of a data file, without `.gz`, in lower case.

    Raises:
        DataError: It is a folder, has another suffix, or has a name that no file can have.
    """
    if fault := name_fault(str(path)):
        raise DataError(f"{path}: the name {fault}")
    suffix = suffix_of(path)
    try:
        is_folder = path.is_dir()
    except OSError as error:  # a name that is too long for any file
        raise DataError(f"{str(path)[:80]}…: cannot be read ({error.strerror}); check the path") from None
    if is_folder:
        raise DataError(f"{path}: is a folder; name one data file ({', '.join(formats)}, or .gz of one)")
    if fault := format_fault(path, formats):
        raise DataError(f"{path}: {fault}")
    return suffix


def suffix_of(path: Path) -> str:
    """The suffix of a data file's name, without `.gz`, in lower case."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def format_fault(path: Path, formats: Sequence[str] = TABLES) -> str:
    """Say why EdgeBERT does not read a file with that name; "" if its suffix is a known format."""
    suffix = suffix_of(path)
    return "" if suffix in formats else f"unknown data format '{suffix}'; expected {', '.join(formats)}, or .gz of one"


def _whole(path: Path) -> bytes:
    """Read a regular file's bytes. Others are refused: a pipe may block, and a device never ends."""
    with open_regular(path) as opened:
        return opened.read()


def _read_bytes(path: Path) -> bytes:
    try:
        data = _whole(path)
        return _unpacked(path, data) if path.suffix == ".gz" else data
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path and the folder it is relative to") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a complete gzip file ({error}); compress it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _unpacked(path: Path, data: bytes) -> bytes:
    """Unpack a file, with a size limit: a file that grows too many times is a trap or a mistake.

    Raises:
        DataError: It is larger than the limit.
        OSError, EOFError, zlib.error: Not a complete gzip file.
    """
    most = max(MAX_UNPACKED, MAX_RATIO * len(data))
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as opened:
        unpacked = opened.read(most + 1)
    if len(unpacked) > most:
        raise DataError(
            f"{path}: {len(data)} bytes unpack to more than {most}, over {MAX_RATIO} times as many; if that is right, "
            "unpack it (gunzip) and name the unpacked file"
        )
    return unpacked


def _decode(path: Path, data: bytes) -> str:
    if not data.strip():
        raise DataError(f"{path}: is empty; expected {wanted_of(path)}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        value = data[error.start : error.start + 4]
        raise DataError(f"{path}: line {line}: bytes {value!r} are not UTF-8; convert the file to UTF-8") from None
    by_lines = not path.name.lower().removesuffix(".gz").endswith((".csv", ".json"))
    if by_lines and "\r" in text.rstrip() and "\n" not in text:
        raise DataError(f"{path}: its lines end in only a carriage return; convert line ends to line feeds")
    return text


def wanted_of(path: Path) -> str:
    """What a file with this suffix contains, for messages."""
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    wanted = {".jsonl": "a JSON object per line", ".txt": "one text per line", ".json": "a SQuAD document"}
    return wanted.get(suffix, "a header and at least one row" if suffix in TABLES else "at least one row")


def text_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers from 1, without line ends, including blank ones."""
    for number, line in enumerate(text.split("\n"), 1):
        yield number, line.removesuffix("\r")
