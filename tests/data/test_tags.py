"""Tag schemes: tags to spans and back, which tag may follow which, and files that violate their scheme."""

from itertools import pairwise, product
from pathlib import Path

import pytest

from edgebert.data.tags import (
    OUTSIDE,
    PREFIXES,
    Scheme,
    Span,
    TagCheck,
    is_tag,
    may_follow,
    repaired,
    spans,
    tag_set,
    tags_of,
    types_of,
)
from edgebert.errors import DataError

SCHEMES: list[Scheme] = ["BIO", "BIOES", "IOB1"]


def all_spans(length: int, types: str) -> list[list[Span]]:
    """Every way to place entities in a text of `length` words."""
    if length == 0:
        return [[]]
    whole = list(all_spans(length - 1, types))
    for size in range(1, length + 1):
        for before in all_spans(length - size, types):
            whole += [[*before, Span(kind, length - size, length)] for kind in types]
    return whole


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_layout_of_entities_survives_its_tags(scheme: Scheme) -> None:
    layouts = all_spans(4, "XY")
    assert len(layouts) == len(set(map(tuple, layouts))) == 153
    for entities in layouts:
        tags = tags_of(entities, 4, scheme)
        assert spans(tags) == entities
        assert repaired(tags, scheme) == tags


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("BIO", "O B-X I-X I-X B-X B-Y I-Y O"),
        ("IOB1", "O I-X I-X I-X B-X I-Y I-Y O"),
        ("BIOES", "O B-X I-X E-X S-X B-Y E-Y O"),
    ],
)
def test_tags_of_a_text_worked_out_by_hand(scheme: Scheme, tags: str) -> None:
    entities = [Span("X", 1, 4), Span("X", 4, 5), Span("Y", 5, 7)]
    assert tags_of(entities, 8, scheme) == tags.split()
    assert spans(tags.split()) == entities


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_follow_a_scheme_where_each_may_follow_the_one_before(scheme: Scheme) -> None:
    for length in range(5):
        for tags in product(tag_set(["X", "Y-z"], scheme), repeat=length):
            follows = all(may_follow(*pair, scheme) for pair in pairwise([OUTSIDE, *tags, OUTSIDE]))
            assert (repaired(tags, scheme) == list(tags)) == follows
            assert spans(repaired(tags, scheme)) == spans(tags)


@pytest.mark.parametrize(
    ("scheme", "tags", "right"),
    [
        ("BIO", "O I-X I-X", "O B-X I-X"),
        ("BIO", "B-X I-Y I-Y", "B-X B-Y I-Y"),
        ("IOB1", "O B-X I-X", "O I-X I-X"),
        ("BIOES", "B-X I-X O", "B-X E-X O"),
        ("BIOES", "I-X S-X E-Y B-Y", "S-X S-X S-Y S-Y"),
    ],
)
def test_broken_tags_are_repaired_to_the_entities_that_they_are_read_as(scheme: Scheme, tags: str, right: str) -> None:
    assert repaired(tags.split(), scheme) == right.split()


@pytest.mark.parametrize(
    "entities", [[Span("X", 0, 2), Span("Y", 1, 3)], [Span("X", 2, 2)], [Span("X", 3, 5)], [Span("X", -1, 1)]]
)
def test_entities_that_no_tags_can_hold_are_refused(entities: list[Span]) -> None:
    with pytest.raises(ValueError, match=r"[XY] of words .* (overlaps another entity|is outside a text of 4 words)"):
        tags_of(entities, 4, "BIO")


def test_tags_and_their_types() -> None:
    assert tag_set(["a", "b-c"], "BIOES") == ["O", "B-a", "I-a", "E-a", "S-a", "B-b-c", "I-b-c", "E-b-c", "S-b-c"]
    assert types_of(["O", "I-b-c", "B-a", "B-b-c"]) == ["a", "b-c"]
    assert [tag for tag in ("O", "B-a", "I-b-c", "E-a", "B-", "B", "a", "", "o", "BIa") if is_tag(tag, "BIO")] == [
        "O",
        "B-a",
        "I-b-c",
    ]
    assert all(is_tag(tag, scheme) for scheme in SCHEMES for tag in tag_set("XY", scheme))
    assert set(PREFIXES) == {*SCHEMES, "WORDS"}


def test_a_file_that_breaks_its_scheme_is_refused_with_count_first_place_and_value() -> None:
    check = TagCheck(Path("d.conll"), "BIO", "refuse")
    assert check(["B-X", "I-X", "O"], [1, 2, 3]) == ("B-X", "I-X", "O")
    check(["O", "I-X", "I-Y"], [5, 6, 7])
    check(["I-X"], [9])
    with pytest.raises(DataError) as caught:
        check.finish()
    assert str(caught.value) == (
        "d.conll: line 6: tag 'I-X' where BIO has 'B-X' (3 tags like this in the file); correct the file, "
        'or set head.scheme or head.invalid_tags = "repair" in the recipe'
    )


def test_a_file_that_is_to_be_repaired_is_and_stderr_says_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    check = TagCheck(Path("d.conll"), "BIO", "repair")
    assert check(["O", "I-X", "I-X"], [5, 6, 7]) == ("O", "B-X", "I-X")
    assert capsys.readouterr() == ("", "")
    check.finish()
    assert capsys.readouterr() == (
        "",
        "edgebert: d.conll: repaired 1 tag, the first at line 6: tag 'I-X' where BIO has 'B-X'\n",
    )


def test_a_file_that_follows_its_scheme_is_passed_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    for on_invalid in ("refuse", "repair"):
        check = TagCheck(Path("d.conll"), "IOB1", on_invalid)  # type: ignore[arg-type]
        check(["I-X", "B-X", "O", "I-Y"], [1, 2, 3, 4])
        check.finish()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("tag", ["", "X", "E-X", "B", "b-X", "I-"])
@pytest.mark.parametrize("on_invalid", ["refuse", "repair"])
def test_what_is_no_tag_is_refused_whatever_is_asked_for(tag: str, on_invalid: str) -> None:
    check = TagCheck(Path("d.conll"), "BIO", on_invalid)  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        check(["O", tag], [3, 4])
    assert str(caught.value) == f"d.conll: line 4: {tag!r} is no BIO tag; expected O, B-TYPE, I-TYPE"
