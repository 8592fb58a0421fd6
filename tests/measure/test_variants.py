"""Variants: the baseline, the stages, and bundles with the same name."""

from pathlib import Path

import pytest
from pretended_bench import SUITE, make_bundle

from edgebert.errors import BundleError
from edgebert.measure.suite import Suite
from edgebert.measure.variants import find_baseline, stage_folders, variants_of


def test_a_baseline_is_found_inside_or_beside_the_bundle_or_given(bundle: Path, tmp_path: Path) -> None:
    beside = tmp_path / "tiny.stages" / "0-baseline"
    assert find_baseline(bundle, None) == beside
    assert find_baseline(bundle, str(beside)) == beside
    assert find_baseline(beside.parent / ".." / "tiny", None).resolve() == beside
    inside = make_bundle(bundle / "baseline")
    assert find_baseline(bundle, None) == inside


def test_the_folder_one_stands_in_is_a_bundle_too(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle)
    assert find_baseline(Path("."), None).resolve() == bundle.with_name("tiny.stages") / "0-baseline"


def test_what_is_not_there_is_told(bundle: Path, tmp_path: Path) -> None:
    alone = make_bundle(tmp_path / "alone")
    with pytest.raises(BundleError, match=r"no full-precision baseline at .*alone/baseline or .*or give --baseline"):
        find_baseline(alone, None)
    left = make_bundle(tmp_path / "alone.work" / "edgebert-full-precision")
    with pytest.raises(BundleError, match=f"or give --baseline {left}, which an export left"):
        find_baseline(alone, None)
    with pytest.raises(BundleError, match=r"nowhere: no such folder;"):
        find_baseline(bundle, str(tmp_path / "nowhere"))
    with pytest.raises(BundleError, match=r"no stage bundles; export with export\.stages = true"):
        stage_folders(alone)


def test_two_bundles_of_one_name_stay_apart(bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other" / "tiny")
    make_bundle(tmp_path / "other" / "tiny.stages" / "1-graph")
    variants = variants_of([bundle, other], find_baseline(bundle, None), True, SUITE)
    assert len(variants) == 5
    assert len({variant.name for variant in variants}) == 5
    assert [variant.role for variant in variants] == ["baseline", "stage", "bundle", "stage", "bundle"]


def test_a_bundle_called_as_the_baseline_is_keeps_a_name_of_its_own(bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "out" / "fp32")
    variants = variants_of([bundle, other], find_baseline(bundle, None), False, SUITE)
    assert [variant.name for variant in variants] == ["fp32", f"{tmp_path.name}/tiny", "out/fp32"]
    assert [variant.folder for variant in variants[1:]] == [bundle, other]


def test_a_runtime_that_the_bundle_has_no_graph_for_is_told(bundle: Path) -> None:
    with pytest.raises(BundleError, match="openvino"):
        variants_of([bundle], find_baseline(bundle, None), False, Suite(runtimes=("openvino",)))
