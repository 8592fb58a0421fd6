"""Remove the stage bundles that an earlier export left beside a bundle."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from edgebert import bundle
from edgebert.compress import distributed
from edgebert.compress.step import Step
from edgebert.leftovers import remove_leftover, replaced, stage_leftovers
from edgebert.stage_names import BASELINE, FAST, NAMES, STAGES


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


def bundled(teacher: Step, chain: Sequence[Step], stages: bool, skip_last: bool) -> list[tuple[str, Step, str]]:
    """Names of the stage bundles, the model of each, and the kind of its graph.

    Args:
        teacher: The full-precision model, of which the baseline is made.
        chain: It, and what every stage made of it.
        stages: Whether the stages have bundles, and not the baseline alone.
        skip_last: Whether the bundle itself is that of the last stage.
    """
    steps = [(BASELINE, teacher, "plain"), (FAST, teacher, "fast")]
    steps += [(NAMES[step.name], step, "fast") for step in chain[1:]]
    if not stages:
        return steps[:1]
    return steps[:-1] if skip_last and len(steps) > 1 else steps
