"""Remove the stage bundles that an earlier export left beside a bundle."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgebert import bundle
from edgebert.compress import distributed
from edgebert.leftovers import remove_leftover, replaced, stage_leftovers
from edgebert.stage_names import STAGES


def remove_bundles(root: Path, keep: Collection[str]) -> None:
    """Remove an earlier export's stage bundles, which would be measured as if this export had made them.

    A run that is killed meanwhile leaves hidden folders, which the next run removes, and never part of a bundle. Only
    names that an export writes are removed: other bundles belong to the user.

    Raises:
        DiskError: The folder, or one in it, is a link.
    """
    if distributed.is_main():
        bundle.check_stage_links(root)
        _remove_hidden(root)  # else one of a killed run would stand where a bundle is moved
        for folder in (root / name for name in STAGES if name not in keep):
            if bundle.is_ours(folder):
                folder.rename(replaced(folder))
        _remove_hidden(root)
    distributed.wait()


def _remove_hidden(root: Path) -> None:
    """Remove stage bundles that are partly written or partly removed.

    Raises:
        DiskError: Something else has such a name.
    """
    for left in stage_leftovers(root):
        remove_leftover(left)
