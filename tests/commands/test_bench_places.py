"""What `edgebert bench` refuses before it measures: output inside a bundle, long names, checks that match nothing."""

import os
from pathlib import Path

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

from edgebert.lock import held

SUITE = 'scenarios = ["offline"]\nrounds = 2\nsamples = 10\nwarmup = 0\nbatch_size = 4\nlengths = [4]\n'


@pytest.fixture
def given(tmp_path: Path) -> tuple[object, ...]:
    (tmp_path / "s.toml").write_text(SUITE)
    return ("--baseline", write_small_bundle(tmp_path / "fp32"), "--suite", tmp_path / "s.toml")


@pytest.mark.parametrize("place", ["b", "b/out", "b/deep/out", "fp32", "fp32/out", "third/out", "link/out"])
def test_a_result_is_not_written_into_a_bundle(place: str, given: tuple[object, ...], tmp_path: Path, run: Run) -> None:
    bundle = write_small_bundle(tmp_path / "b")
    write_small_bundle(tmp_path / "third")
    (tmp_path / "link").symlink_to(bundle)
    before = sorted(tmp_path.rglob("*"))
    told = refused(run("bench", bundle, *given, "--out", tmp_path / place))
    folder = tmp_path / place.split("/")[0].replace("link", "b")
    assert told == (
        f"{tmp_path / place}: is or is inside the bundle {folder}, which must not change; give another --out"
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bundle_whose_name_leaves_no_room_for_the_result_beside_it(
    given: tuple[object, ...], tmp_path: Path, run: Run
) -> None:
    bundle = write_small_bundle(tmp_path / ("n" * 250))
    told = refused(run("bench", bundle, *given))
    assert told == f"{bundle}.bench: cannot be written (File name too long); give another --out"
    told = refused(run("bench", bundle, *given[2:]))
    assert told.endswith("; export with export.stages or export.baseline = true, or give --baseline")
    told = refused(run("bench", bundle, *given, "--stages"))
    assert told.endswith(".stages: no stage bundles; export with export.stages = true")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("result.json", '{"mine": 1}', "not a result of edgebert bench"),
        ("result.json", "[1", "not a result of edgebert bench"),
        ("result.json", None, "not a result of edgebert bench"),
        ("raw", "mine", "not a folder"),
    ],
)
def test_what_stands_where_the_result_goes_is_found_before_anything_is_measured(
    name: str, content: str | None, says: str, given: tuple[object, ...], tmp_path: Path, run: Run
) -> None:
    place = tmp_path / "out" / name
    place.parent.mkdir()
    place.mkdir() if content is None else place.write_text(content)
    told = refused(run("bench", write_small_bundle(tmp_path / "b"), *given, "--out", tmp_path / "out"))
    assert told == f"{place}: {says}; move it away or give another --out"
    assert [path.name for path in place.parent.iterdir()] == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_pipe_in_the_place_of_the_result_folder(given: tuple[object, ...], tmp_path: Path, run: Run) -> None:
    os.mkfifo(tmp_path / "pipe")
    told = refused(run("bench", write_small_bundle(tmp_path / "b"), *given, "--out", tmp_path / "pipe"))
    assert told == f"{tmp_path / 'pipe'}: a device, pipe or socket, not a folder; give another --out"


@pytest.mark.slow
def test_a_result_takes_the_place_of_an_earlier_one(given: tuple[object, ...], tmp_path: Path, run: Run) -> None:
    command = ("bench", write_small_bundle(tmp_path / "b"), *given, "--out", tmp_path / "out")
    assert [run(*command)[0], run(*command)[0]] == [0, 0]


def test_names_that_are_too_long_for_raw_samples(given: tuple[object, ...], tmp_path: Path, run: Run) -> None:
    bundle, other = write_small_bundle(tmp_path / ("n" * 245)), write_small_bundle(tmp_path / "other")
    told = refused(run("bench", bundle, other, *given, "--out", tmp_path / "out"))
    assert told.startswith(f"{bundle}: its name is too long for the files of raw samples; bench it alone, or ")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_wide_characters_are_cut_in_temporary_names(given: tuple[object, ...], tmp_path: Path, run: Run) -> None:
    bundle = write_small_bundle(tmp_path / "b")
    code, _, err = run("bench", bundle, *given, "--out", tmp_path / ("\N{GRINNING FACE}" * 60))
    assert code == 0, err


def test_a_column_that_is_text_and_label(given: tuple[object, ...], tmp_path: Path, run: Run) -> None:
    (tmp_path / "d.tsv").write_text("text\tlabel\na\tshort\n")
    columns = ("--data", tmp_path / "d.tsv", "--text-column", "label", "--label-column", "label")
    told = refused(run("bench", write_small_bundle(tmp_path / "b"), *given, *columns))
    assert told.startswith(f"{tmp_path / 'd.tsv'}: label is 'label', the column of a text; expected ")
    assert not (tmp_path / "b.bench").exists()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--estimate", ","], "--estimate ,: a name between commas is empty; leave the comma out"),
        (["--estimate", "nvidia-t4,"], "--estimate nvidia-t4,: a name between commas is empty; leave the comma out"),
        (["--fail-if", "quality<0.9"], "--fail-if 'quality<0.9': quality takes labelled text; give it by --data"),
    ],
)
def test_what_would_be_measured_in_vain(
    more: list[str], says: str, given: tuple[object, ...], tmp_path: Path, run: Run
) -> None:
    assert refused(run("bench", write_small_bundle(tmp_path / "b"), *given, *more)) == says
    assert not (tmp_path / "b.bench").exists()


def test_two_benches_do_not_write_into_one_folder(given: tuple[object, ...], tmp_path: Path, run: Run) -> None:
    with held(tmp_path / "out", "--out"):
        told = refused(run("bench", write_small_bundle(tmp_path / "b"), *given, "--out", tmp_path / "out"))
    assert told.startswith(f"{tmp_path / 'out'}: process {os.getpid()} on ")
    assert told.endswith(" is working here; wait for it or give another --out")
    assert not (tmp_path / "out").exists()
