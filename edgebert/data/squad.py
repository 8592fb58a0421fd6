"""Questions about contexts: SQuAD 1.1 and 2.0, JSON Lines; gzip of each. Standard library only."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from json import JSONDecodeError
from pathlib import Path
from typing import Literal, TypeVar

from edgebert.data.examples import Example, is_blank, json_lines
from edgebert.data.formats import SQUAD
from edgebert.data.named import renamed
from edgebert.data.text_file import data_format, read_text
from edgebert.errors import DataError, EmptyCellError
from edgebert.strict_json import parse_data

LOG = logging.getLogger(__name__)

KINDS: dict[type, str] = {str: "a string that is not blank", list: "a list", dict: "an object"}
WANTED = {"question": KINDS[str], "context": KINDS[str], "answers": KINDS[list]}

Misplaced = Literal["refuse", "repair"]


Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Answer:
    """An answer's text, and the character of the context at which it starts, counted from 0."""

    text: str
    start: int


def read_squad(
    path: Path,
    misplaced: Misplaced = "refuse",
    answered: bool = True,
    keys: Mapping[str, str] | None = None,
    skip_empty: bool = False,
) -> list[Example]:
    """Read every question of a data file.

    Args:
        path: SQuAD 1.1 or 2.0 (`.json`), one object per line with question, context and answers [{text, start}] or, as
            Hugging Face's datasets have them, {text: [...], answer_start: [...]} (`.jsonl`), or the `.gz` of one.
        misplaced: What to do with an answer whose `start` is wrong: `refuse` raises an error. `repair` moves it to its
            nearest occurrence, or drops it if there is none; it drops questions that lose all answers, and logs the
            counts.
        answered: Whether to read the answers.
        keys: For JSON Lines: the names of the keys `question`, `context` and `answers`, if they differ.
        skip_empty: Whether to mark rows of JSON Lines with an empty cell instead of refusing the file.

    Returns:
        Examples with the question as text and the context as pair. The label is a tuple of `Answer`, empty if the
        context has no answer; None if the file has no answers or they are not read. `line` counts questions
        from 1, or is the line of JSON Lines.

    Raises:
        DataError: The file is missing, empty, wrongly encoded or malformed, or an answer's `start` is wrong. The
            message names file, question, value and what was expected.
    """
    suffix = data_format(path, SQUAD)
    text, placing = read_text(path), _Placing(misplaced)
    examples = []
    for question in _squad(path, text) if suffix == ".json" else _rows(path, text, keys or {}, skip_empty):
        if isinstance(question, Example):
            examples.append(question)
            continue
        answers = question.answers() if answered else None
        label = None if answers is None else placing.placed(answers, question.context, question.place)
        if label or not answers:
            examples.append(Example(question.text, question.context, label, question.number, str(path)))
    placing.tell(path)
    if not examples:
        raise DataError(f"{path}: holds no questions; expected at least one with a context")
    return examples


class _Placing:
    """What to do about answers whose `start` is wrong, and how many there were."""

    def __init__(self, misplaced: Misplaced) -> None:
        self.misplaced = misplaced
        self.moved = self.dropped = self.left_out = 0

    def placed(self, answers: tuple[Answer, ...], context: str, place: str) -> tuple[Answer, ...]:
        """Return answers with corrected starts; those that do not occur in the context are dropped."""
        found = [self._placed(answer, context, place) for answer in answers]
        kept = tuple(answer for answer in found if answer is not None)
        self.left_out += bool(answers) and not kept
        return kept

    def tell(self, path: Path) -> None:
        """Log how many answers were repaired."""
        if self.moved or self.dropped:
            LOG.warning(
                "%s: repaired answers with a wrong start: %d moved, %d dropped, %d questions left out",
                *(path, self.moved, self.dropped, self.left_out),
            )

    def _placed(self, answer: Answer, context: str, place: str) -> Answer | None:
        if answer.start >= 0 and context.startswith(answer.text, answer.start):
            return answer
        if self.misplaced == "refuse":
            there = context[max(0, answer.start) :][: len(answer.text)]
            raise DataError(
                f"{place}: answer {_short(answer.text)} should start at character {answer.start}, but {_short(there)} "
                f"is there; expected its offset in the context, or "
                'head.misplaced_answers = "repair" in the recipe'
            )
        start = _nearest(context, answer)
        self.moved += start is not None
        self.dropped += start is None
        return None if start is None else Answer(answer.text, start)


@dataclass(frozen=True)
class _Question:
    """One question of a file. `given` holds its answers; None if the file has no such key."""

    text: str
    context: str
    given: list[object] | None
    start_key: str
    number: int
    place: str

    def answers(self) -> tuple[Answer, ...] | None:
        return None if self.given is None else tuple(self._answer(value) for value in self.given)

    def _answer(self, value: object) -> Answer:
        fields = value if isinstance(value, dict) else {}
        # JSON Lines may use SQuAD's own name for it too.
        text, start = fields.get("text"), fields.get(self.start_key, fields.get("answer_start"))
        if fields.get("answer_start", start) != start:
            raise DataError(
                f"{self.place}: answer {_short(value)}: '{self.start_key}' and 'answer_start' differ; give one of them"
            )
        if not isinstance(text, str) or not text.strip() or type(start) is not int:
            raise DataError(
                f"{self.place}: answer {_short(value)}; expected "
                f'{{"text": a string of the context, "{self.start_key}": an integer}}'
            )
        return Answer(text, start)


def _squad(path: Path, text: str) -> Iterator[_Question]:
    """Questions of a SQuAD document."""
    number = 0
    for article, article_place in _members(_parsed(path, text), "data", str(path)):
        for paragraph, paragraph_place in _members(article, "paragraphs", article_place):
            context = _member(paragraph, "context", str, paragraph_place)
            for row, place in _members(paragraph, "qas", paragraph_place):
                number += 1
                if isinstance(row, dict) and "id" in row:
                    place = f"{path}: question {_short(row['id'])}"
                yield _question(row, context, "answer_start", number, place)


def _rows(path: Path, text: str, keys: Mapping[str, str], skip_empty: bool) -> Iterator[_Question | Example]:
    """Questions of JSON Lines; rows with an empty cell are marked."""
    for number, given in json_lines(path, text):
        row = renamed(given, keys, f"{path}: line {number}")
        place = f"{path}: line {number}" + (f": question {_short(row['id'])}" if "id" in row else "")
        if empty := _empty_key(row):
            if not skip_empty:
                raise EmptyCellError(f"{place}: '{empty}' is {_short(row[empty])}; expected {WANTED[empty]}")
            yield Example("", None, None, number, str(path), empty=True)
            continue
        yield _question(row, _member(row, "context", str, place), "start", number, place)


def _empty_key(row: Mapping[str, object]) -> str:
    """The first key whose value is blank or null; an empty list of answers means that there is no answer."""
    return next((key for key in WANTED if key in row and row[key] != [] and is_blank(row[key])), "")


def _question(row: object, context: str, start_key: str, number: int, place: str) -> _Question:
    text = _member(row, "question", str, place)
    fields: dict[str, object] = row if isinstance(row, dict) else {}
    if isinstance(listed := fields.get("answers"), dict):
        fields = fields | {"answers": _listed(listed, start_key, place)}
    impossible = fields.get("is_impossible")
    answers = _member(fields, "answers", list, place) if "answers" in fields else [] if impossible is True else None
    if impossible is not None and answers is not None and impossible is not (not answers):
        raise DataError(
            f"{place}: 'is_impossible' is {_short(impossible)} beside {len(answers)} answers; "
            "expected true without answers, false with some"
        )
    return _Question(text, context, answers, start_key, number, place)


def _listed(answers: dict[str, object], start_key: str, place: str) -> list[dict[str, object]]:
    """Answers in the form of Hugging Face's datasets: one list of all `text`, one of all `answer_start`."""
    texts, starts = (_member(answers, key, list, f"{place}: answers") for key in ("text", "answer_start"))
    if len(texts) != len(starts):
        raise DataError(f"{place}: {len(texts)} texts of answers and {len(starts)} starts; expected equal numbers")
    return [{"text": text, start_key: start} for text, start in zip(texts, starts, strict=True)]


def _parsed(path: Path, text: str) -> object:
    try:
        return parse_data(text)
    except JSONDecodeError as error:
        raise DataError(
            f"{path}: line {error.lineno}: not JSON ({error.msg}, at {_short(text[error.pos : error.pos + 40])}); "
            "expected a SQuAD document"
        ) from None


def _members(table: object, key: str, place: str) -> Iterator[tuple[object, str]]:
    """Items of a list in the document, with the location of each."""
    for at, item in enumerate(_member(table, key, list, place)):
        yield item, f"{place}: {key}[{at}]"


def _member(table: object, key: str, kind: type[Kind], place: str) -> Kind:
    """Return a value of the document, and check that a string is not blank and is valid Unicode.

    Raises:
        DataError: It is missing, or has the wrong type.
    """
    if not isinstance(table, dict):
        raise DataError(f"{place}: {_short(table)}; expected an object with '{key}'")
    if key not in table:
        raise DataError(f"{place}: no key '{key}' in {_short(table)}; expected {KINDS[kind]} there")
    value = table[key]
    if not isinstance(value, kind) or (isinstance(value, str) and not value.strip()):
        raise DataError(f"{place}: '{key}' is {_short(value)}; expected {KINDS[kind]}")
    if isinstance(value, str) and not _is_unicode(value):
        raise DataError(f"{place}: '{key}' holds a lone surrogate: {_short(value)}; expected valid Unicode")
    return value


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _nearest(context: str, answer: Answer) -> int | None:
    """The character at which the answer's nearest occurrence starts; the earlier one if two are equally near."""
    before = context.rfind(answer.text, 0, max(0, answer.start + len(answer.text)))
    after = context.find(answer.text, max(0, answer.start))
    found = [at for at in (before, after) if at >= 0]
    return min(found, key=lambda at: abs(at - answer.start)) if found else None


def _short(value: object, limit: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= limit else shown[:limit] + "…"
