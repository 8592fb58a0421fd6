"""`inspect` and `verify` on bundles that pass every check and are odd nevertheless."""

from pathlib import Path
from typing import Any

import pytest
from command_line import Run, refused
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


def test_folders_nested_too_deep_are_refused(tmp_path: Path, run: Run) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    deep = bundle
    for _ in range(1500):
        deep = deep / "d"
        deep.mkdir()
    try:
        assert "folders nested too deep" in refused(run("verify", bundle))
    finally:
        while deep != bundle:  # pytest's own clearing away goes no deeper than Python does
            deep.rmdir()
            deep = deep.parent
