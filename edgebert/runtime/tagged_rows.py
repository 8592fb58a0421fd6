"""Data files of the tasks over words: slot folders, CoNLL columns, JSON Lines of words or of text ranges."""

from __future__ import annotations

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgebert.data.columns import Columns
from edgebert.data.conll import looks_like_columns, read_conll
from edgebert.data.examples import Example, is_blank, json_lines, read_examples, unless_empty
from edgebert.data.named import OPTIONS, column_number, named_of, renamed
from edgebert.data.slots import read_slots, slot_folder
from edgebert.data.tags import Span, TagCheck, tags_of
from edgebert.data.text_file import read_text
from edgebert.data.words import FindTokens, split_words
from edgebert.errors import DataError, EmptyCellError
from edgebert.runtime.tagging import Settings
from edgebert.strict_json import Json

LOG = logging.getLogger(__name__)

SPAN_KEYS = ("entities", "slots")


def read_tagged(
    path: Path, columns: Columns, settings: Settings, with_intents: bool, find_tokens: FindTokens | None = None
) -> list[Example]:
    """Read a file of words and tags; `label` is the tags, or (intent, tags), or None for a row without labels.

    A folder (or its `seq.in`) holds the three files of slots. `.jsonl` rows have the keys `words` and `tags`, or a text
    and `entities` or `slots` ({label, start, end}, in characters), and `intent`. A `.txt` without tags has one text per
    line. Any other file has CoNLL columns. Files may be compressed as `.gz`. A raw text is split into words, around the
    added tokens that `find_tokens` finds; if the task encodes raw texts, the row keeps the raw text too.

    Raises:
        DataError: The file cannot be used; the message names file, line, value and what was expected.
    """
    named = named_of(columns)
    if not path.name.lower().removesuffix(".gz").endswith(".jsonl"):
        token = column_number(named.text, "--text-column", settings.token_column)
        tag = column_number(named.tags or named.label, "--tags-column", settings.tag_column)
        settings = replace(settings, token_column=token, tag_column=tag)
    check = TagCheck(path, settings.scheme, settings.invalid_tags)
    folder, suffix = slot_folder(path), Path(path.name.removesuffix(".gz")).suffix.lower()
    if folder is not None:
        examples = read_slots(folder, check, with_intents)
    elif suffix == ".jsonl":
        examples = _Jsonl(path, columns, settings, check, with_intents, find_tokens).read()
    elif suffix == ".txt" and not looks_like_columns(path, settings.tag_column):
        named.refuse(tuple(OPTIONS), f"{path}: has no columns, only one text per line")
        examples = read_examples(path, Columns(columns.text, label=""))
    elif with_intents:
        read_text(path)  # raises where there is no such file, or no text in it
        raise DataError(f"{path}: columns hold no intents; expected a folder of seq.in, seq.out, label, or a .jsonl")
    else:
        examples = read_conll(path, check, settings.token_column, settings.tag_column)
    check.finish()
    return examples if columns.label else [replace(example, label=None) for example in examples]


class _Jsonl:
    """Reads the rows of one file, and counts entities that end inside a word."""

    def __init__(
        self,
        path: Path,
        columns: Columns,
        settings: Settings,
        check: TagCheck,
        with_intents: bool,
        find_tokens: FindTokens | None,
    ) -> None:
        self.path, self.text_key, self.settings = path, columns.text, settings
        self.skip_empty = columns.skip_empty
        self.check, self.with_intents, self.named = check, with_intents, named_of(columns)
        self.find_tokens, self.cut, self._first_cut = find_tokens, 0, ""

    def read(self) -> list[Example]:
        examples = [
            unless_empty(partial(self._row, number, row), self.path, number, self.skip_empty)
            for number, row in json_lines(self.path, read_text(self.path))
        ]
        if self.cut:
            counted = f"{self.cut} entit{'ies' if self.cut > 1 else 'y'}"
            if self.settings.cut_words == "refuse":
                raise DataError(
                    f"{self.path}: {self._first_cut} ({counted} like this in the file); "
                    "correct the file, or set head.cut_words to widen in the recipe"
                )
            LOG.warning("%s: widened %s to whole words, the first at %s", self.path, counted, self._first_cut)
        return examples

    def _row(self, number: int, given: dict[str, Json]) -> Example:
        row = self._renamed(number, given) if self.named.given() else given
        self._check_one_meaning(number, row)
        if "words" in row:
            words, tags = self._words(number, row["words"]), row.get("tags")
            tags = None if tags is None else self._tags(number, tags, len(words))
        else:
            words, tags = self._stretches(number, row)
        if tags is None and self.skip_empty and any(key in row for key in ("tags", *SPAN_KEYS)):
            raise self._error(number, "tags are null", "a list", None)
        checked = None if tags is None else self.check(tags, [number] * len(tags))
        label = self._with_intent(number, row, checked) if self.with_intents else checked
        raw = self.settings.whole_texts and "words" not in row
        text = str(self._text(row)) if raw else " ".join(words)
        return Example(text, None, label, number, str(self.path), tuple(words), is_raw=raw)

    def _renamed(self, number: int, given: dict[str, Json]) -> dict[str, Json]:
        """Copy the user's named columns to their usual keys, with a list of words under its own key."""
        named, place = self.named, f"{self.path}: line {number}"
        tags = named.tags if self.with_intents else named.tags or named.label
        row = renamed(given, {"intent": named.label if self.with_intents else "", "text": named.text}, place)
        if named.text:
            usual = "words" if isinstance(row["text"], list) else "text"
            row = {key: value for key, value in row.items() if key not in ("words", "text")} | {usual: row["text"]}
        if not tags:
            return row
        usual = "tags" if "words" in row else SPAN_KEYS[0]
        held = renamed(row, {usual: tags}, place)
        return {key: value for key, value in held.items() if key == usual or key not in ("tags", *SPAN_KEYS)}

    def _check_one_meaning(self, number: int, row: dict[str, Json]) -> None:
        """Refuse a row that states something in two ways with different content; white space is ignored."""
        text, held = self._text(row), [key for key in SPAN_KEYS if row.get(key) is not None]
        if "words" in row:
            joined = " ".join(self._words(number, row["words"]))
            if text is not None and "".join(str(text).split()) != "".join(joined.split()):
                fact = f"'words' {joined!r:.60} and '{self._text_name(row)}' {text!r:.60} differ"
                raise self._error(number, fact, "the same text in both, or one of the two")
            if held:
                raise self._error(number, f"'{held[0]}' beside 'words'", "'tags' there, or a text instead of 'words'")
        elif row.get("tags") is not None and text is not None:
            raise self._error(number, f"'tags' {row['tags']!r:.60} without 'words'", "both, or 'entities' of the text")
        elif len(held) > 1 and row[held[0]] != row[held[1]]:
            raise self._error(number, f"'{held[0]}' and '{held[1]}' differ", "one of the two")

    def _text_name(self, row: dict[str, Json]) -> str:
        return "text" if self.named.text or self.text_key not in row else self.text_key

    def _text(self, row: dict[str, Json]) -> Json:
        return row.get(self._text_name(row))

    def _words(self, number: int, words: object) -> list[str]:
        if not isinstance(words, list) or not words or not all(isinstance(word, str) and word for word in words):
            raise self._error(number, f"'words' is {words!r:.60}", "a list of strings that are not empty", words)
        return words

    def _tags(self, number: int, tags: object, count: int) -> list[str]:
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise self._error(number, f"'tags' is {tags!r:.60}", "a list of strings")
        if len(tags) != count:
            raise self._error(number, f"{len(tags)} tags in {tags!r:.60}", f"{count}, one for each of 'words'")
        return tags

    def _with_intent(
        self, number: int, row: dict[str, Json], tags: tuple[str, ...] | None
    ) -> tuple[str, tuple[str, ...]] | None:
        intent = row.get("intent")
        if tags is None and intent is None:
            return None
        if tags is None:
            raise self._error(number, "an intent without slots", "'tags' beside 'words', or 'slots' (a list) too")
        if not isinstance(intent, str) or not intent.strip():
            raise self._error(number, f"'intent' is {intent!r:.60}", "a string, the intent of the text", intent)
        return intent, tags

    def _stretches(self, number: int, row: dict[str, Json]) -> tuple[list[str], list[str] | None]:
        """Words of a text, and the tags for its character ranges."""
        text = self._text(row)
        if not isinstance(text, str) or not text.strip():
            expected = "a text that is not blank, or 'words'"
            named = self.text_key in row or "text" in row
            raise self._error(number, f"'{self.text_key}' is {text!r:.60}", expected, text if named else "no key")
        places = split_words(text, self.find_tokens(text) if self.find_tokens else ())
        words = [text[first:end] for first, end in places]
        given = next((row[key] for key in SPAN_KEYS if row.get(key) is not None), None)
        if given is None:
            return words, None
        if not isinstance(given, list):
            raise self._error(number, f"entities are {given!r:.60}", "a list of {label, start, end}")
        words_of = _Places(places)
        entities = [self._span(number, text, words_of, entity) for entity in given]
        try:
            return words, tags_of(entities, len(words), self.settings.scheme)
        except ValueError as error:
            raise self._error(number, str(error), "entities that do not overlap") from None

    def _span(self, number: int, text: str, places: _Places, entity: object) -> Span:
        """Range of words for an entity given in characters."""
        fields = entity if isinstance(entity, dict) else {}
        label, start, end = (fields.get(name) for name in ("label", "start", "end"))
        if not (isinstance(label, str) and label and type(start) is int and type(end) is int):
            raise self._error(number, f"entity {entity!r:.80}", "{label, start, end}: a string and two whole numbers")
        inside = 0 <= start < end <= len(text)
        first, last = places.touched(start, end) if inside else (0, -1)
        if last < first:
            raise self._error(
                number, f"{label} of characters {start} to {end}", f"a range of words in the text's {len(text)}"
            )
        named = fields.get("text")
        if isinstance(named, str) and named.strip() != text[start:end].strip():
            raise self._error(
                number,
                f"{label} of characters {start} to {end} is {text[start:end]!r:.60}",
                f"its own text {named!r:.60}",
            )
        if start > places.starts[first] or end < places.ends[last]:
            whole = text[places.starts[first] : places.ends[last]]
            self._first_cut = self._first_cut or f"line {number}: {label} {text[start:end]!r:.60} cuts {whole!r:.60}"
            self.cut += 1
        return Span(label, first, last + 1)

    def _error(self, number: int, fact: str, expected: str, value: object = "wrong") -> DataError:
        """Make the error for a row, or for an empty cell if `value` is blank."""
        refusal = EmptyCellError if is_blank(value) else DataError
        return refusal(f"{self.path}: line {number}: {fact}; expected {expected}")


class _Places:
    """Positions of the words of one text, found by binary search, since a text may have many entities."""

    def __init__(self, places: Sequence[tuple[int, int]]) -> None:
        self.starts = [start for start, _ in places]
        self.ends = [end for _, end in places]

    def touched(self, start: int, end: int) -> tuple[int, int]:
        """First and last word that a character range overlaps; the last is before the first if there are none."""
        return bisect_right(self.ends, start), bisect_left(self.starts, end) - 1
