"""`inspect` and `verify` on unusual bundles that pass every check."""

from pathlib import Path
from typing import Any

import pytest
from command_line import Run
from manifests import CONTENT, rewrite, small_bundle


@pytest.mark.parametrize(
    "change",
    [
        {"head": {"settings": {}, "thresholds": [0.25]}},
        {"profile": {"export": CONTENT["profile"]["export"]}},
        {"profile": {"export": CONTENT["profile"]["export"], "name": "mine"}},
    ],
    ids=["one threshold of two", "profile without a name", "profile without a summary"],
)
def test_inspect_shows_what_there_is(change: dict[str, Any], tmp_path: Path, run: Run) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    rewrite(bundle, **change)
    code, page, err = run("inspect", bundle)
    assert (code, err) == (0, "")
    assert "text-classification" in page


def test_folders_of_any_depth_are_walked(tmp_path: Path, run: Run) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    deep = bundle
    for _ in range(1500):
        deep = deep / "d"
        deep.mkdir()
    try:
        (deep / "stray.txt").write_text("x")
        code, _, err = run("verify", bundle)
        assert code == 0
        assert "stray.txt" in err
    finally:
        (deep / "stray.txt").unlink()
        while deep != bundle:  # pytest's own clearing away goes no deeper than Python does
            deep.rmdir()
            deep = deep.parent
