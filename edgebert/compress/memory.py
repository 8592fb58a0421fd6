"""Return freed memory to the operating system."""

from __future__ import annotations

import ctypes
import gc
import sys

# Bytes of a model from which on it is worth freeing: collecting takes half a second.
LARGE = 64 << 20


def give_back(size: int) -> None:
    """Return freed memory to the operating system between steps that each need as much as several models.

    glibc keeps freed memory for later use; without this call an export of BERT-base holds half a gigabyte more. With
    another C library this does nothing.

    Args:
        size: Bytes that were freed, about. Below `LARGE` nothing is done.
    """
    if size < LARGE:
        return
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
