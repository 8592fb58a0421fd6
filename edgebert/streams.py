"""Handle standard streams that are closed or cannot be written. Standard library only."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edgebert.errors import DiskError
from edgebert.escape import escaped


def fill_closed() -> bool:
    """Replace closed standard streams by the null device; return whether standard output was open.

    Otherwise the next opened file would take a closed stream's number, and libraries would print into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stderr is None:
        sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace")
    return sys.stdout is not None


def say(line: str) -> None:
    """Write a line to standard error if possible; the exit code carries the same information."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"edgebert: {escaped(line)}\n")


class _Lines(logging.Handler):
    """Writes each record as one line on standard error, warnings as EdgeBERT's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line to the current standard error."""
        with suppress(OSError, ValueError):
            said = "edgebert: " if record.levelno >= logging.WARNING else ""
            sys.stderr.write(f"{said}{escaped(record.getMessage(), chr(9))}\n")


@contextmanager
def logged() -> Iterator[None]:
    """Show the package's log on standard error while a command runs; nested uses show it once."""
    logger, lines = logging.getLogger("edgebert"), _Lines()
    if any(isinstance(handler, _Lines) for handler in logger.handlers):
        yield
        return
    before = logger.level, logger.propagate
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    # If a library configures the root logger during an export, every line would be shown twice.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before[0])
        logger.propagate = before[1]


def put(text: str) -> None:
    """Write to standard output.

    Raises:
        BrokenPipeError: The reader has closed it.
        DiskError: It cannot be written, for example because the disk is full.
    """
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritten(error) from None


def flush() -> None:
    """Flush standard output; raises as `put` does."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _unwritten(error) from None


def end() -> None:
    """Flush the streams, or discard what they hold, so that Python does not fail when it exits."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _unwritten(error: OSError) -> DiskError:
    return DiskError(f"standard output cannot be written ({error.strerror or error}); send it somewhere else")
