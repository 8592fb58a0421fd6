"""What static INT8 takes its ranges from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebert.runtime.encode import Encoded


@dataclass(frozen=True)
class Calibration:
    """Encoded texts, and how ranges are chosen: `minmax`, `percentile`, `entropy` or `mse`."""

    rows: Sequence[Encoded]
    method: str = "minmax"
