"""The three files of slots: what is read from them, and what is refused if they do not match."""

from pathlib import Path

import pytest

from edgebert.data.examples import Example
from edgebert.data.slots import read_slots, slot_folder
from edgebert.data.tags import TagCheck
from edgebert.errors import DataError

SNIPS = Path(__file__).parents[2].parent / "shared" / "data" / "snips"
FILES = {
    "seq.in": "turn on  the lamp \nstop\n",
    "seq.out": "O O O B-device \nO\n",
    "label": "SwitchOn\nStop\n",
}


def folder_of(tmp_path: Path, **changes: str | None) -> Path:
    for name, text in FILES.items():
        text = changes.get(name.replace(".", "_"), text)
        if text is not None:
            (tmp_path / name).write_text(text)
    return tmp_path


def read(folder: Path, with_intents: bool = True) -> list[Example]:
    check = TagCheck(folder, "BIO", "refuse")
    examples = read_slots(folder, check, with_intents)
    check.finish()
    return examples


def test_rows_are_words_with_intent_and_tags(tmp_path: Path) -> None:
    first, second = read(folder_of(tmp_path))
    words = ("turn", "on", "the", "lamp")
    assert first == Example("turn on the lamp", None, ("SwitchOn", ("O", "O", "O", "B-device")), 1, words=words)
    assert (second.label, second.line) == (("Stop", ("O",)), 2)
    assert first.place == f"{tmp_path / 'seq.in'}: line 1"


def test_without_intents_the_label_file_may_be_missing(tmp_path: Path) -> None:
    assert [example.label for example in read(folder_of(tmp_path, label=None), False)] == [
        ("O", "O", "O", "B-device"),
        ("O",),
    ]


def test_a_path_names_the_folder_or_its_words(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    assert slot_folder(folder) == slot_folder(folder / "seq.in") == folder
    assert slot_folder(folder / "label") is None


def test_lines_that_are_blank_in_all_files_are_passed_over(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, seq_in="stop\n\nstop\n\n", seq_out="O\n\nO\n", label="Stop\n\nStop")
    assert [example.line for example in read(folder)] == [1, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"seq_out": "O O O\nO\n"},
            "seq.out: line 1: 3 tags in 'O O O'; expected 4, one for each word of seq.in there",
        ),
        ({"seq_out": "O O O O\nO\nO\n"}, "seq.out: 3 lines; expected 2, as many as seq.in has"),
        ({"label": "SwitchOn\n"}, "label: 1 lines; expected 2, as many as seq.in has"),
        ({"label": "\nStop\n"}, "label: line 1: no intent; expected one for 'turn on the lamp'"),
        ({"seq_in": "\nstop\n"}, "seq.in: line 1: no words; expected some, because the other files have this line"),
        ({"seq_out": None}, "seq.out: no such file"),
        ({"label": None}, "label: no such file"),
    ],
)
def test_files_that_do_not_match_are_told_with_file_line_and_value(
    tmp_path: Path, changes: dict[str, str | None], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        read(folder_of(tmp_path, **changes))
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


@pytest.mark.parametrize(
    ("with_intents", "accepted"),
    [
        (True, "a folder that holds seq.in, seq.out and label, or a .jsonl"),
        (False, "a folder that holds seq.in and seq.out, a file of CoNLL columns, or a .jsonl"),
    ],
)
def test_a_folder_of_other_things_is_told_as_one_with_what_is_accepted(
    with_intents: bool, accepted: str, tmp_path: Path
) -> None:
    (tmp_path / "train.conll").write_text("stop O\n")
    with pytest.raises(DataError) as caught:
        read(tmp_path, with_intents)
    fact = f"{tmp_path}: a folder without seq.in, so not the three-file slot format"
    assert str(caught.value) == f"{fact}; give {accepted}"


def test_where_the_splits_are_its_folders_they_are_named(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        folder_of(tmp_path / split)
    with pytest.raises(DataError, match=r"give one of its folders train, valid, or a \.jsonl$"):
        read(tmp_path)


def test_tags_that_break_the_scheme_are_told_with_their_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: tag 'I-device' where BIO has 'B-device' \(1 tag like this"):
        read(folder_of(tmp_path, seq_out="O O O B-device\nI-device\n"))


@pytest.mark.skipif(not SNIPS.is_dir(), reason="no ../shared/data/snips")
@pytest.mark.parametrize(("split", "rows"), [("train", 13084), ("valid", 700), ("test", 700)])
def test_snips_is_read_whole(split: str, rows: int) -> None:
    examples = read(SNIPS / split)
    assert len(examples) == rows
    assert {example.label[0] for example in examples} == {
        *("AddToPlaylist", "BookRestaurant", "GetWeather", "PlayMusic", "RateBook", "SearchCreativeWork"),
        "SearchScreeningEvent",
    }
