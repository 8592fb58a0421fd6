"""Forbidden folders of an export are refused before PyTorch is imported, and nothing in them changes."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_bundle import write_small_bundle

from edgebert.bundle import check_replaceable
from edgebert.cli import main
from edgebert.errors import DiskError
from edgebert.leftovers import is_ours
from edgebert.places import CHECKPOINTS, TEXTS
from edgebert.stage_bundles import remove_bundles

Refused = Callable[..., str]
KEY = "0123456789abcdef"


@pytest.fixture
def refused(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refused:
    """Run an export with other options after the usual ones; return the error line."""
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    for name in ("model", "data"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        (tmp_path / "mine" / name / "kept").write_text("years of work")

    def export(*more: object) -> str:
        usual = ["--model", tmp_path / "mine" / "model", "--data-dir", tmp_path / "mine" / "data"]
        usual += ["--out", tmp_path / "out", "--work", tmp_path / "work"]
        assert main(["export", str(recipe_file), *map(str, usual), *map(str, more)]) == 2
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("edgebert: ")]
        assert len(lines) == 1
        assert [path.read_text() for path in (tmp_path / "mine").glob("*/kept")] == ["years of work"] * 2
        return lines[0]

    return export


@pytest.mark.parametrize("option", ["--out", "--work"])
@pytest.mark.parametrize("name", ["mine/model", "mine/data", "mine", "mine/data/../model"])
def test_a_folder_that_holds_what_is_read(option: str, name: str, refused: Refused, tmp_path: Path) -> None:
    told = refused(option, tmp_path / name)
    assert told.startswith(f"edgebert: {option} {tmp_path / name} is or contains the ")
    assert told.endswith(f"; give another {option}")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("option", ["--out", "--work"])
def test_the_root(option: str, refused: Refused) -> None:
    assert refused(option, "/") == f"edgebert: {option} is /, the root of all folders; give a folder in it"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (f"finetune-{KEY}", "link"),
        (f"take-over-{KEY}.partial", "link"),
        ("edgebert-full-precision", "link"),
        ("edgebert-full-precision", "file"),
        (f"graph-{KEY}", "file"),
        (f"finished-{KEY}.json", "folder"),
    ],
)
def test_something_else_in_the_place_of_finished_work(name: str, kind: str, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "work" / name
    path.parent.mkdir()
    if kind == "link":
        path.symlink_to(tmp_path / "mine" / "data")
    else:
        path.mkdir() if kind == "folder" else path.write_text("mine")
    told = f"{path}: a {kind} with a name that finished work needs; move it away or give another --work"
    assert refused() == f"edgebert: {told}"
    assert path.exists()


@pytest.mark.parametrize("name", [TEXTS, f"finished-{KEY}.json"])
@pytest.mark.parametrize("kind", ["link", "link to nothing", "folder", "device, pipe or socket"])
def test_something_else_in_the_place_of_a_file(name: str, kind: str, refused: Refused, tmp_path: Path) -> None:
    path, mine = tmp_path / "work" / name, tmp_path / "mine" / "data" / "kept"
    path.parent.mkdir()
    if kind.startswith("link"):
        path.symlink_to(mine if kind == "link" else tmp_path / "nothing")
    else:
        path.mkdir() if kind == "folder" else os.mkfifo(path)
    told = f"{path}: a {kind[:4] if 'link' in kind else kind} with a name that finished work needs"
    assert refused() == f"edgebert: {told}; move it away or give another --work"
    assert os.path.lexists(path)
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("name", [CHECKPOINTS, f"{CHECKPOINTS}/unfinished", f"{CHECKPOINTS}/checkpoint-2"])
def test_links_inside_a_stage(name: str, refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "work" / f"finetune-{KEY}.partial" / name
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "mine" / "data")
    told = f"{path}: a link with a name that finished work needs; move it away or give another --work"
    assert refused() == f"edgebert: {told}"
    assert path.is_symlink()


def test_a_folder_of_another_programs_manifest_is_no_bundle(refused: Refused, tmp_path: Path) -> None:
    foreign = tmp_path / "extension"
    foreign.mkdir()
    (foreign / "manifest.json").write_text('{"manifest_version": 3}')
    (foreign / "mine.js").write_text("kept")
    with pytest.raises(DiskError, match="exists and is not a bundle"):
        check_replaceable(foreign)
    (tmp_path / "stages" / "1-graph").mkdir(parents=True)
    (tmp_path / "stages" / "1-graph" / "manifest.json").write_text("{}")
    remove_bundles(tmp_path / "stages", keep=())
    assert (tmp_path / "stages" / "1-graph" / "manifest.json").is_file()


@pytest.mark.parametrize(
    "manifest",
    [
        '{"name": "edgebert-bundle"}',
        '{"a": {"format": "edgebert-bundle"}}',
        '["edgebert-bundle"]',
        '{"format": "edgebert-bundle", "format": "mine"}',
        '{"format": "edgebert-bundle"} and more',
        "[" * 100_000,
    ],
)
def test_a_manifest_that_only_names_the_format_is_another_programs(manifest: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(manifest)
    assert not is_ours(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "edgebert-bundle", "format_version": 0}')
    assert is_ours(tmp_path)


def test_only_bundles_that_exports_name_are_removed(tmp_path: Path) -> None:
    for name in ("0-baseline", "2-distill", "2-mine", "9-mine", ".9-mine.old"):
        write_small_bundle(tmp_path / "stages" / name)
    remove_bundles(tmp_path / "stages", keep=["0-baseline"])
    left = sorted(path.name for path in (tmp_path / "stages").iterdir())
    assert left == [".9-mine.old", "0-baseline", "2-mine", "9-mine"]


@pytest.mark.parametrize("stages", ["false", "true"])
@pytest.mark.parametrize("name", ["out.stages", "out.stages/2-distill"])
def test_stage_bundles_that_are_links_are_refused_and_stay(
    name: str, stages: str, refused: Refused, tmp_path: Path
) -> None:
    kept = write_small_bundle(tmp_path / "elsewhere" / "2-distill")
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(kept if place.name == "2-distill" else kept.parent)
    told = f"{place}: a link to another folder; remove it or give another --out"
    assert refused("--set", f"export.stages={stages}") == f"edgebert: {told}"
    with pytest.raises(DiskError, match="a link to another folder"):
        remove_bundles(tmp_path / "out.stages", keep=())
    assert (kept / "manifest.json").is_file()


@pytest.mark.parametrize("stages", ["false", "true"])
def test_a_bundle_in_the_place_of_the_stages_folder_stays_as_it_is(
    stages: str, refused: Refused, tmp_path: Path
) -> None:
    bundle = write_small_bundle(tmp_path / "out.stages")
    before = sorted(bundle.rglob("*"))
    told = refused("--set", f"export.stages={stages}")
    assert told == f"edgebert: {bundle}: is or is inside the bundle {bundle}, which must not change; give another --out"
    assert sorted(bundle.rglob("*")) == before


@pytest.mark.parametrize("option", ["--out", "--work"])
def test_a_folder_that_holds_a_file_which_is_read(option: str, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "train.tsv").write_text("text\tlabel\n")
    told = refused(option, tmp_path / "place", "--set", f"data.train={tmp_path / 'place' / 'train.tsv'}")
    assert told == (
        f"edgebert: {option} {tmp_path / 'place'} contains {tmp_path / 'place' / 'train.tsv'}, which the export reads; "
        f"give another {option}"
    )


@pytest.mark.parametrize("option", ["--out", "--work"])
def test_a_name_that_is_too_long_for_what_stands_beside_it(option: str, refused: Refused, tmp_path: Path) -> None:
    told = refused(option, tmp_path / ("n" * 240))
    assert told.endswith(
        f": the name is too long for the files beside it, which end in .work.edgebert-lock; give a shorter {option}"
    )
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("option", ["--out", "--work"])
def test_a_folder_in_a_bundle(option: str, refused: Refused, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "b")
    before = sorted(bundle.rglob("*"))
    told = refused(option, bundle / "deep" / "new")
    assert told == (
        f"edgebert: {bundle}/deep/new: is or is inside the bundle {bundle}, which must not change; give another "
        f"{option}"
    )
    assert sorted(bundle.rglob("*")) == before


def test_the_folder_of_finished_stages_is_no_bundle(refused: Refused, tmp_path: Path) -> None:
    bundle = write_small_bundle(tmp_path / "b")
    before = sorted(bundle.rglob("*"))
    told = refused("--work", bundle)
    assert (
        told == f"edgebert: {bundle}: is or is inside the bundle {bundle}, which must not change; give another --work"
    )
    assert sorted(bundle.rglob("*")) == before


@pytest.mark.parametrize("option", ["--out", "--work"])
def test_a_link_to_nothing(option: str, refused: Refused, tmp_path: Path) -> None:
    place = tmp_path / "leads" / "nowhere"
    place.parent.mkdir()
    place.symlink_to(tmp_path / "elsewhere" / "deep")
    told = refused(option, place)
    assert told == f"edgebert: {place}: a broken link; remove it, or give another {option}"
    assert not (tmp_path / "elsewhere").exists()
