"""Files of words and tags: the reader for each path, both kinds of JSON Lines, and what is refused."""

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from edgebert.data.examples import Columns, Example
from edgebert.data.tags import spans
from edgebert.errors import DataError
from edgebert.runtime.tagged_rows import read_tagged
from edgebert.runtime.tagging import Settings
from examples.smart_home.corpus import generate, write_corpus


def read(path: Path, with_intents: bool = False, **settings: Any) -> list[Example]:
    return read_tagged(path, Columns(), Settings(**settings), with_intents)


def jsonl(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def refused(path: Path, with_intents: bool = False, **settings: Any) -> str:
    with pytest.raises(DataError) as caught:
        read(path, with_intents, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def entity(label: Any, start: Any, end: Any) -> dict[str, Any]:
    return {"label": label, "start": start, "end": end}


def test_words_and_tags_are_taken_as_they_are(tmp_path: Path) -> None:
    [row] = read(jsonl(tmp_path, {"words": ["New York", "is"], "tags": ["B-LOC", "O"]}))
    assert row == Example("New York is", None, ("B-LOC", "O"), 1, words=("New York", "is"))


def test_a_text_of_very_many_entities_is_read_in_time(tmp_path: Path) -> None:
    """Comparing each entity with each word would be 1.6 billion comparisons, which take minutes."""
    count, begun = 40_000, time.monotonic()
    entities = [entity("LOC", 5 * at, 5 * at + 4) for at in range(count)]
    [row] = read(jsonl(tmp_path, {"text": "Rome " * count, "entities": entities}))
    assert row.label == ("B-LOC",) * count
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("key", ["entities", "slots"])
@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("BIO", ("B-PER", "I-PER", "O", "B-LOC", "O")),
        ("IOB1", ("I-PER", "I-PER", "O", "I-LOC", "O")),
        ("BIOES", ("B-PER", "E-PER", "O", "S-LOC", "O")),
    ],
)
def test_entities_in_characters_become_tags_of_words(
    tmp_path: Path, key: str, scheme: str, tags: tuple[str, ...]
) -> None:
    text = " Ann Lee in (Rome"
    [row] = read(jsonl(tmp_path, {"text": text + ".", key: [entity("LOC", 13, 17), entity("PER", 0, 8)]}), scheme="BIO")
    assert row.words == ("Ann", "Lee", "in", "(", "Rome", ".")
    [row] = read(
        jsonl(tmp_path, {"text": "Ann Lee in Rome.", key: [entity("LOC", 11, 15), entity("PER", 0, 7)]}), scheme=scheme
    )
    assert (row.words, row.label) == (("Ann", "Lee", "in", "Rome", "."), tags)


def test_words_beside_their_own_text_are_taken(tmp_path: Path) -> None:
    texts, held = ("Ann Lee .", " Ann Lee.", None), [entity("LOC", 0, 4)]
    rows: list[dict[str, Any]] = [{"words": ["Ann", "Lee", "."], "text": text, "tags": ["O"] * 3} for text in texts]
    rows.append({"text": "Rome", "entities": held, "slots": held, "tags": None})
    assert [row.text for row in read(jsonl(tmp_path, *rows))] == ["Ann Lee ."] * 3 + ["Rome"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            {"words": ["Ann", "Lee"], "text": "Bob Lee", "tags": ["O", "O"]},
            "'words' 'Ann Lee' and 'text' 'Bob Lee' differ; expected the same text in both, or one of the two",
        ),
        (
            {"words": ["Rome"], "text": "Rome", "entities": [entity("LOC", 0, 4)]},
            "'entities' beside 'words'; expected 'tags' there, or a text instead of 'words'",
        ),
        ({"words": ["Rome"], "tags": ["O"], "slots": []}, "'slots' beside 'words'; expected 'tags' there, or a text"),
        ({"text": "Rome", "tags": ["B-LOC"]}, "'tags' ['B-LOC'] without 'words'; expected both, or 'entities' of"),
        (
            {"text": "Rome", "entities": [], "slots": [entity("LOC", 0, 4)]},
            "'entities' and 'slots' differ; expected one of the two",
        ),
    ],
)
def test_a_row_that_says_two_things_is_refused(tmp_path: Path, row: dict[str, Any], says: str) -> None:
    assert refused(jsonl(tmp_path, {"words": ["a"], "tags": ["O"]}, row)).startswith(f"line 2: {says}")


CUT = {"text": "Johnson's in Rome", "entities": [entity("PER", 0, 7), entity("LOC", 13, 16)]}


def test_an_entity_that_ends_inside_a_word_is_refused_with_count_place_and_value(tmp_path: Path) -> None:
    rows = [{"text": "ok", "entities": []}, CUT]
    assert refused(jsonl(tmp_path, *rows)) == (
        "line 2: PER 'Johnson' cuts \"Johnson's\" (2 entities like this in the file); correct the file, or set "
        "head.cut_words to widen in the recipe"
    )


def test_an_entity_that_ends_inside_a_word_is_widened_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = jsonl(tmp_path, CUT)
    [row] = read(path, cut_words="widen")
    assert (row.words, row.label) == (("Johnson's", "in", "Rome"), ("B-PER", "O", "B-LOC"))
    assert capsys.readouterr().err == (
        f"edgebert: {path}: widened 2 entities to whole words, the first at line 1: PER 'Johnson' cuts \"Johnson's\"\n"
    )


def test_rows_without_tags_are_unlabelled(tmp_path: Path) -> None:
    rows = read(jsonl(tmp_path, {"text": "a b."}, {"words": ["a", "b."]}, {"text": "a", "entities": []}))
    assert [(row.words, row.label) for row in rows] == [(("a", "b", "."), None), (("a", "b."), None), (("a",), ("O",))]


def test_intents_stand_beside_tags(tmp_path: Path) -> None:
    rows = [
        {"text": "lamp on", "intent": "On", "slots": [entity("device", 0, 4)]},
        {"words": ["off"], "tags": ["O"], "intent": "Off"},
        {"text": "stop"},
    ]
    found = read(jsonl(tmp_path, *rows), with_intents=True)
    assert [row.label for row in found] == [("On", ("B-device", "O")), ("Off", ("O",)), None]
    assert [row.label for row in read(jsonl(tmp_path, *rows))] == [("B-device", "O"), ("O",), None]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tags": ["O"]}, "'text' is None; expected a text that is not blank, or 'words'"),
        ({"text": " "}, "'text' is ' '; expected a text that is not blank, or 'words'"),
        ({"words": []}, "'words' is []; expected a list of strings that are not empty"),
        ({"words": ["a", ""]}, "'words' is ['a', '']; expected a list of strings that are not empty"),
        ({"words": "ab"}, "'words' is 'ab'; expected a list of strings that are not empty"),
        ({"words": ["a"], "tags": "O"}, "'tags' is 'O'; expected a list of strings"),
        ({"words": ["a"], "tags": ["O", "O"]}, "2 tags in ['O', 'O']; expected 1, one for each of 'words'"),
        ({"words": ["a"], "tags": ["X"]}, "'X' is no BIO tag; expected O, B-TYPE, I-TYPE"),
        ({"words": ["a"], "tags": ["I-X"]}, "tag 'I-X' where BIO has 'B-X' (1 tag like this in the file); correct"),
        ({"text": "a", "entities": {}}, "entities are {}; expected a list of {label, start, end}"),
        ({"text": "a", "entities": [["X", 0, 1]]}, "entity ['X', 0, 1]; expected {label, start, end}: a string"),
        ({"text": "a", "entities": [entity("X", 0, True)]}, "entity {'label': 'X', 'start': 0, 'end': True}; expec"),
        ({"text": "a", "entities": [entity("", 0, 1)]}, "entity {'label': '', 'start': 0, 'end': 1}; expected"),
        ({"text": "a b", "entities": [entity("X", 1, 2)]}, "X of characters 1 to 2; expected a range of words in"),
        ({"text": "a", "entities": [entity("X", 0, 2)]}, "X of characters 0 to 2; expected a range of words in the"),
        ({"text": "a", "entities": [entity("X", 1, 0)]}, "X of characters 1 to 0; expected a range of words in the"),
        (
            {"text": "a b", "entities": [entity("X", 0, 1) | {"text": "b"}]},
            "X of characters 0 to 1 is 'a'; expected its own text 'b'",
        ),
        (
            {"text": "a b", "entities": [entity("X", 0, 3), entity("Y", 2, 3)]},
            "Y of words 1 to 2 overlaps another entity; expected entities that do not overlap",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_line_value_and_what_was_expected(
    tmp_path: Path, row: Any, message: str
) -> None:
    assert refused(jsonl(tmp_path, {"text": "fine", "entities": []}, row)).startswith(f"line 2: {message}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "a", "slots": []}, "'intent' is None; expected a string, the intent of the text"),
        ({"text": "a", "slots": [], "intent": 5}, "'intent' is 5; expected a string, the intent of the text"),
        ({"text": "a", "intent": "On"}, "an intent without slots; expected 'tags' beside 'words', or 'slots'"),
    ],
)
def test_half_a_command_is_refused(tmp_path: Path, row: Any, message: str) -> None:
    assert refused(jsonl(tmp_path, row), with_intents=True).startswith(f"line 1: {message}")


@pytest.mark.parametrize("name", ["d.conll", "d.tsv", "d.txt", "d.annotated", "d", "d.bio.gz"])
def test_anything_else_is_columns(tmp_path: Path, name: str) -> None:
    text = b"a\tB-X\n\nb\tO\n"
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    assert [row.label for row in read(tmp_path / name)] == [("B-X",), ("O",)]
    assert refused(tmp_path / name, with_intents=True).startswith(
        "columns hold no intents; expected a folder of seq.in"
    )


@pytest.mark.parametrize("name", ["no.tsv", "no", "no.jsonl", "no.txt"])
@pytest.mark.parametrize("with_intents", [False, True])
def test_a_file_that_is_not_there_is_told_as_that(tmp_path: Path, name: str, with_intents: bool) -> None:
    assert refused(tmp_path / name, with_intents=with_intents).startswith("no such file")


def test_plain_lines_are_unlabelled_texts(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("turn on the lamp\n\nstop\n")
    for with_intents in (False, True):
        rows = read(tmp_path / "d.txt", with_intents)
        assert [(row.text, row.words, row.label) for row in rows] == [
            ("turn on the lamp", (), None),
            ("stop", (), None),
        ]


def test_the_columns_of_the_recipe_are_read(tmp_path: Path) -> None:
    (tmp_path / "d.conll").write_text("1 a B-X NN\n2 b I-X NN\n")
    [row] = read(tmp_path / "d.conll", token_column=1, tag_column=-2)
    assert (row.words, row.label) == (("a", "b"), ("B-X", "I-X"))


def test_broken_tags_are_repaired_where_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d.conll").write_text("a I-X\nb I-X\n")
    assert "tag 'I-X' where BIO has 'B-X'" in refused(tmp_path / "d.conll")
    [row] = read(tmp_path / "d.conll", invalid_tags="repair")
    assert row.label == ("B-X", "I-X")
    assert "repaired 1 tag, the first at line 1" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["", "seq.in"])
def test_a_folder_of_slots_is_read_by_its_name_or_its_words(tmp_path: Path, path: str) -> None:
    for name, text in (("seq.in", "lamp on\n"), ("seq.out", "B-device O\n"), ("label", "On\n")):
        (tmp_path / name).write_text(text)
    [row] = read(tmp_path / path, with_intents=True)
    assert (row.words, row.label) == (("lamp", "on"), ("On", ("B-device", "O")))
    assert read(tmp_path / path)[0].label == ("B-device", "O")


def test_the_demo_corpus_is_read_with_every_slot_at_its_place(tmp_path: Path) -> None:
    _, path, _ = write_corpus(tmp_path)
    rows, spoken = read(path, with_intents=True), generate()["validation"]
    assert len(rows) == len(spoken)
    for row, said in zip(rows, spoken, strict=True):
        intent, tags = row.label
        starts = [len(" ".join(row.words[:at])) + (at > 0) for at in range(len(row.words))]
        found = {(s.label, starts[s.first], starts[s.end - 1] + len(row.words[s.end - 1])) for s in spans(tags)}
        assert (row.text, intent) == (said.text, said.intent)
        assert found == {(slot.label, slot.start, slot.end) for slot in said.slots}
