"""Bundles of stages beside a bundle: none of an earlier export stays."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgebert import bundle
from edgebert.compress import distributed
from edgebert.leftovers import remove_leftover, replaced, stage_leftovers

# In the folder of finished stages: the bundle of the same model before INT8.
FULL_PRECISION = "full-precision"
BASELINE, FAST = "0-baseline", "1-graph"
# Of the other steps, by the stage that made their models.
NAMES = {
    "distill": "2-distill",
    "recover": "3-prune",
    "vocabulary": "4-vocabulary",
    "recover-vocabulary": "4-vocabulary",
    "quantization-aware": "5-quantization-aware",
}


def remove_bundles(root: Path, keep: Collection[str]) -> None:
    """Remove an earlier export's stage bundles, which would be measured as if they were this one's.

    A run that is killed in between leaves hidden folders, which the next run removes; never a part of a bundle.
    """
    if distributed.is_main():
        _remove_hidden(root)  # else one of a killed run would stand where a bundle is moved
        for manifest in root.glob(f"[0-9]-*/{bundle.MANIFEST}"):
            if manifest.parent.name not in keep and bundle.is_ours(manifest.parent):
                manifest.parent.rename(replaced(manifest.parent))
        _remove_hidden(root)
    distributed.wait()


def _remove_hidden(root: Path) -> None:
    """Remove stage bundles that are half written or half removed.

    Raises:
        DiskError: Something else has the name of one.
    """
    for left in stage_leftovers(root):
        remove_leftover(left)
