"""CoNLL columns: what is read from them, and what is refused, with which line."""

import gzip
from pathlib import Path

import pytest

from edgebert.data.conll import looks_like_columns, read_conll
from edgebert.data.examples import Example
from edgebert.data.tags import Scheme, TagCheck, spans
from edgebert.errors import DataError

WNUT = Path(__file__).parents[2].parent / "shared" / "data" / "wnut17"


def read(
    tmp_path: Path, text: str, scheme: Scheme = "BIO", token_column: int = 0, tag_column: int = -1
) -> list[Example]:
    path = tmp_path / "d.conll"
    path.write_text(text, encoding="utf-8", newline="")
    check = TagCheck(path, scheme, "refuse")
    examples = read_conll(path, check, token_column, tag_column)
    check.finish()
    return examples


def refused(tmp_path: Path, text: str, **options: int) -> str:
    with pytest.raises(DataError) as caught:
        read(tmp_path, text, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{tmp_path / 'd.conll'}: ")


def test_sentences_are_words_and_tags_parted_by_blank_lines(tmp_path: Path) -> None:
    first, second = read(tmp_path, "Ann\tB-PER\nLee\tI-PER\n\t\n \nis\tO\n")
    assert first == Example("Ann Lee", None, ("B-PER", "I-PER"), 1, words=("Ann", "Lee"))
    assert (second.words, second.label, second.line) == (("is",), ("O",), 5)
    assert second.place == f"{tmp_path / 'd.conll'}: line 5"
    assert first.place_of(1) == f"{tmp_path / 'd.conll'}: line 2"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n"])
def test_ends_of_lines_and_of_the_file_make_no_difference(tmp_path: Path, newline: str, end: str) -> None:
    text = ("a O\nb B-X\n\nc O" + end).replace("\n", newline)
    assert [example.words for example in read(tmp_path, text)] == [("a", "b"), ("c",)]


def test_columns_are_chosen_from_either_end(tmp_path: Path) -> None:
    text = "1 EU NNP B-NP B-ORG\n2 rejects VBZ B-VP O\n"
    [example] = read(tmp_path, text, token_column=1)
    assert (example.words, example.label) == (("EU", "rejects"), ("B-ORG", "O"))
    [example] = read(tmp_path, text, token_column=-4, tag_column=3)
    assert (example.words, example.label) == (("EU", "rejects"), ("B-NP", "B-VP"))


def test_documents_begin_without_a_sentence_and_hashes_are_words(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O\n\n# NN O\nb NN B-X\n-DOCSTART- -X- O\nc NN O\n"
    assert [(example.words, example.line) for example in read(tmp_path, text)] == [(("#", "b"), 3), (("c",), 6)]


def test_only_tabs_and_spaces_part_columns(tmp_path: Path) -> None:
    [example] = read(tmp_path, "no\u00a0break  \t  O\n\u2028\tO\nNew York\tB-LOC\n\u200b\tO\n")
    assert example.words == ("no\u00a0break", "\u2028", "New York", "\u200b")


def test_runs_of_blanks_part_columns_where_there_are_no_tabs(tmp_path: Path) -> None:
    assert read(tmp_path, "  a    O \nb B-X\n")[0].words == ("a", "b")


def test_a_gzip_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "d.conll.gz"
    path.write_bytes(gzip.compress(b"a O\n"))
    assert read_conll(path, TagCheck(path, "BIO", "refuse"))[0].words == ("a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a O\nb NN O\n", "line 2: 3 columns in 'b NN O'; expected 2, separated by blanks, as in the lines before"),
        ("a\tO\n\nb O\n", "line 3: 1 columns in 'b O'; expected 2, separated by tabs, as in the lines before"),
        ("a\tO\n\tO\n", "line 2: no word in column 0 of '\\tO'; expected one"),
        ("a\n", "line 1: 1 columns in 'a'; expected the word in column 0 and its tag in column -1, which are"),
        ("a O\n\nb O\nc I-X\n", "line 4: tag 'I-X' where BIO has 'B-X' (1 tag like this in the file)"),
        ("a O\nb NOUN\n", "line 2: 'NOUN' is no BIO tag; expected O, B-TYPE, I-TYPE"),
        ("-DOCSTART- O\n\n", "holds no sentence; expected one word and its tag per line"),
        (" \n", "is empty"),
    ],
)
def test_what_cannot_be_read_is_told_with_line_value_and_what_was_expected(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refused(tmp_path, text).startswith(message)


@pytest.mark.parametrize("options", [{"token_column": 2}, {"token_column": -3}, {"tag_column": 2}])
def test_a_column_that_is_not_there_is_told_by_the_name_of_its_setting(tmp_path: Path, options: dict[str, int]) -> None:
    [(name, column)] = options.items()
    expected = f"line 2: 2 columns in 'a O'; head.{name} is {column}, expected -2 to 1"
    assert refused(tmp_path, "\na O\n", **options) == expected


@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize("char", list("\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"))
def test_what_python_takes_for_a_line_break_is_a_part_of_its_word(tmp_path: Path, char: str, separator: str) -> None:
    word = f"new{char}york"
    rows = [f"{word}{separator}B-LOC", f"{char}{separator}O", f"a{separator}O", "", f"b{separator}O"]
    first, second = read(tmp_path, "\n".join(rows) + "\n")
    assert (first.words, first.label) == ((word, char, "a"), ("B-LOC", "O", "O"))
    assert (second.words, second.line) == (("b",), 5)


@pytest.mark.parametrize(
    ("text", "tag_column", "columns"),
    [
        ("EU B-ORG\n", -1, True),
        ("\n-DOCSTART- O\na O\n", -1, True),
        ("EU B-ORG x\n", 1, True),
        ("EU B-ORG x\n", -1, False),
        ("turn on the light\n", -1, False),
        ("O\n", -1, False),
        ("a O\n", 5, False),
    ],
)
def test_columns_are_told_from_plain_text(tmp_path: Path, text: str, tag_column: int, columns: bool) -> None:
    path = tmp_path / "d.txt"
    path.write_text(text)
    assert looks_like_columns(path, tag_column) is columns


@pytest.mark.skipif(not WNUT.is_dir(), reason="no ../shared/data/wnut17")
@pytest.mark.parametrize(
    ("name", "sentences", "entities"),
    [("wnut17train.conll", 3394, 1975), ("emerging.dev.conll", 1009, 836), ("emerging.test.annotated", 1287, 1079)],
)
def test_wnut17_is_read_whole(name: str, sentences: int, entities: int) -> None:
    check = TagCheck(WNUT / name, "BIO", "refuse")
    examples = read_conll(WNUT / name, check)
    check.finish()
    assert (len(examples), sum(len(spans(example.label)) for example in examples)) == (sentences, entities)
