"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back() -> None:
    """Give freed memory back, between steps that each need as much as several models.

    glibc keeps what it has freed for the next one who asks; an export of BERT-base then holds half a gigabyte more. Of
    other C libraries nothing is asked.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
