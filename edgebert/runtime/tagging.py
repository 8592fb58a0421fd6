"""What the tasks over words share on the device: words to token ids, tag scores to entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from math import exp, inf
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from edgebert.data.tags import OUTSIDE, OnInvalid, Scheme, Span, check_tags, may_follow, repaired, spans, tags_of
from edgebert.data.words import Words, split_words
from edgebert.errors import DataError, TextError
from edgebert.runtime.encode import Encoded, TextEncoder, check_length, check_text
from edgebert.runtime.inputs import single_or_pair
from edgebert.runtime.plain_math import argmax, dot
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.word_places import Place, sharing, text_places, word_places
from edgebert.settings import within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebert.data.examples import Example

# Every tag is compared with every other; BIOES with 500 entity types has 2,001 tags.
MAX_TAGS = 4096

# Logits of a window. *Shape*: (tokens, tags).
Scores: TypeAlias = "NDArray[np.float32] | memoryview[float]"


@dataclass(frozen=True)
class Settings:
    """How tags are written in files, and how texts longer than the model's input are read.

    `scheme`: BIO (IOB2), BIOES, IOB1, or WORDS for tags without prefixes, each for one word. `invalid_tags`: what to do
    with tag sequences that the scheme does not allow. `cut_words`: what to do with entities given in characters that
    end inside a word. `token_column`, `tag_column`: columns of CoNLL files, from 0 on the left or from -1 on the right.
    `stride`: tokens that neighbouring windows of a long text share, at most half a window. `spaced_words`: whether to
    put a space before every word if a byte-level vocabulary adds none; otherwise words are encoded as they are, and
    those of a raw text keep its spaces. `whole_texts`: whether to encode a raw text in one piece, as transformers'
    pipeline does, and read each word at its first token; otherwise word by word. Texts given as words are always
    encoded word by word.
    """

    scheme: Scheme = "BIO"
    invalid_tags: OnInvalid = "refuse"
    cut_words: Literal["refuse", "widen"] = "refuse"
    token_column: int = within(0, -64, 64)
    tag_column: int = within(-1, -64, 64)
    stride: int = within(32, 0, 255)
    spaced_words: bool = True
    whole_texts: bool = False


@dataclass(frozen=True)
class Entity(Prediction):
    """A span of the text, `text[start:end]`, its label, and its score.

    The score is the mean, over the entity's words, of the label's probability.
    """

    label: str
    text: str
    start: int
    end: int
    score: float

    def __str__(self) -> str:
        """Label and text on one line."""
        return f"{self.label}:{' '.join(self.text.split())}"


@dataclass(frozen=True)
class Tagged:
    """A text's words, one BIO tag for each, and its entities."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    entities: tuple[Entity, ...]


def shown(entities: Sequence[Entity]) -> str:
    """Entities in one line; a hyphen if there are none."""
    return "; ".join(map(str, entities)) or "-"


class Tagger:
    """Encodes words, and reads their tags from the scores of each word's first token."""

    def __init__(
        self, tags: Sequence[str], values: Sequence[str], settings: Settings, encoder: TextEncoder | None
    ) -> None:
        """Set the tags, in the order of the scores.

        Args:
            tags: The tags as they are shown.
            values: The tags as written in the training files.
            settings: The scheme of both, and the stride.
            encoder: The model's encoder; None for a tagger that only reads tags.

        Raises:
            ValueError: A tag is not in the scheme, or there are too many.
        """
        self.tags, self.settings = list(tags), settings
        if len(self.tags) > MAX_TAGS:
            raise ValueError(f"{len(self.tags)} tags; expected at most {MAX_TAGS}")
        check_tags(self.tags, settings.scheme)
        if values:
            check_tags(values, settings.scheme)
        self._encoder = encoder
        self._numbers = {tag: at for at, tag in enumerate(self.tags)} | {tag: at for at, tag in enumerate(values)}
        # Only the scheme WORDS may lack O, and allows every tag after every other.
        self._outside = self.tags.index(OUTSIDE) if OUTSIDE in self.tags else -1
        shown = dict(zip(values, self.tags, strict=False)) | {tag: tag for tag in self.tags}
        # Types as written in the files, and as shown.
        self._types = {written[2:]: tag[2:] for written, tag in shown.items() if tag != OUTSIDE}

    def encode(self, given: str | Words) -> list[Encoded]:
        """Windows of a text.

        Raises:
            TextError: Neither a string nor words, not valid Unicode, or without any token.
        """
        words = given.words if isinstance(given, Words) else self._split(given)
        if not any(map(_is_visible, words)):
            raise TextError(f"text {str(given)[:40]!r} holds no token; give at least one word")
        if self._encoder is None:
            raise RuntimeError("this tagger has no tokenizer; make it with one")
        stride = min(self.settings.stride, (self._encoder.max_length - 2) // 2)
        if self.settings.whole_texts and isinstance(given, str):
            return self._encoder.encode_text(given, stride)
        return self._encoder.encode_words(words, stride, self.settings.spaced_words)

    def read(self, given: str | Words, windows: Sequence[Encoded], scores: Sequence[Scores]) -> Tagged:
        """Find the entities of a text: the most likely tags that the scheme allows.

        Args:
            given: The text.
            windows: Its windows.
            scores: Logits of each window. *Shape*: (tokens of the window, tags).
        """
        text, places = self.words_of(given)
        located = self.places(given, windows)
        if isinstance(given, Words):
            # With a vocabulary that has a token for the space, even a blank word gets a token, but an entity needs a
            # character.
            located = [at if _is_visible(word) else None for at, word in zip(located, given.words, strict=True)]
        # Words that share a token have one tag, and are parts of one entity.
        shared = sharing(located)
        read_at = [located[first] for first, _ in shared]
        logits = self._word_logits(scores, read_at)
        best = [argmax(row) for row in logits]
        if not self._follows(best):
            best = self._best_path(logits)
        chosen = [self.tags[at] for at in best]
        if self._outside < 0:
            chosen = [OUTSIDE if place is None else tag for tag, place in zip(chosen, read_at, strict=True)]
        entities, found = [], []
        for label, first, end in spans(chosen):
            found.append(Span(label, shared[first][0], shared[end - 1][1]))
            start, stop = places[found[-1].first][0], places[found[-1].end - 1][1]
            score = _mean_probability(logits[first:end], self._alike(best[first]))
            entities.append(Entity(label, text[start:stop], start, stop, score))
        words = tuple(text[first:end] for first, end in places)
        return Tagged(words, tuple(tags_of(found, len(words), "BIO")), tuple(entities))

    def breaks_scheme(self, given: str | Words, windows: Sequence[Encoded], scores: Sequence[Scores]) -> bool:
        """Whether a text's most likely tags, each chosen separately, break the scheme; arguments as in `read`."""
        places = self.places(given, windows)
        read_at = [places[first] for first, _ in sharing(places)]
        return not self._follows([argmax(row) for row in self._word_logits(scores, read_at)])

    def places(self, given: str | Words, windows: Sequence[Encoded]) -> list[Place]:
        """Window and row at which each word of a text is read; None for a word without a token."""
        _, words = self.words_of(given)
        if self.settings.whole_texts and isinstance(given, str):
            return text_places(windows, words)
        return word_places(windows, len(words))

    def words_of(self, given: str | Words) -> tuple[str, list[tuple[int, int]]]:
        """A text, encoded or not, and the positions of its words."""
        if not isinstance(given, Words):
            return given, split_words(given, self._added(given))
        ends = accumulate(len(word) + 1 for word in given.words)
        return str(given), [(end - 1 - len(word), end - 1) for word, end in zip(given.words, ends, strict=True)]

    def _added(self, text: str) -> list[tuple[int, int]]:
        """Added tokens in a text; none if the tagger has no tokenizer."""
        return [] if self._encoder is None else self._encoder.added_tokens.find(text)

    def _split(self, given: str) -> list[str]:
        """Split a raw text into words as they are encoded.

        A word includes the space before it if nothing else adds one. White space before an added token belongs to the
        word before, as in the tokenizer.

        Raises:
            TextError: It is not a string, not valid Unicode, or too long (spaces count).
        """
        single_or_pair(1, given)
        check_text(given, "text")
        check_length(len(given))
        tokens = self._added(given)
        places = split_words(given, tokens)
        spaced = self.settings.spaced_words
        if not (spaced and self._encoder is not None and self._encoder.spaces_words):
            places = _around_tokens(given, places, tokens, spaced)
        return [given[first:end] for first, end in places]

    @property
    def types(self) -> list[str]:
        """Shown entity types, in the order of the scores."""
        return list(dict.fromkeys(tag[2:] for tag in self.tags if tag != OUTSIDE))

    def unknown(self, tags: Sequence[str]) -> list[str]:
        """Types in a file's tags that the model does not have.

        For a known type: the tags that the model does not have.
        """
        lacking = [tag for tag in tags if tag not in self._numbers]
        return list(dict.fromkeys(tag if tag[2:] in self._types else tag[2:] for tag in lacking))

    def bio(self, tags: Sequence[str], example: Example, unknown: Sequence[str] = ()) -> tuple[str, ...]:
        """A file's tags in BIO and with shown types, which is what the metrics compare.

        Types in `unknown` are kept.

        Raises:
            DataError: A tag is neither the model's nor in `unknown`.
        """
        self._check(tags, example, unknown)
        return tuple(repaired([self._shown(tag) for tag in tags], "BIO"))

    def numbers(self, tags: Sequence[str], example: Example) -> list[int]:
        """Positions of a file's tags among the scores.

        Raises:
            DataError: The model does not have a tag; the message names the line of its word.
        """
        self._check(tags, example)
        return [self._numbers[tag] for tag in tags]

    def _check(self, tags: Sequence[str], example: Example, unknown: Sequence[str] = ()) -> None:
        counted = set(unknown)
        for word, tag in enumerate(tags):
            if tag not in self._numbers and not counted.issuperset(self.unknown([tag])):
                known = ", ".join(self.tags[:9]) + ("…" if len(self.tags) > 9 else "")
                raise DataError(f"{example.place_of(word)}: unknown tag {tag!r}; expected one of: {known}")

    def _shown(self, tag: str) -> str:
        """A file's tag with its type as the bundle shows it."""
        if tag in self._numbers:
            return self.tags[self._numbers[tag]]
        return tag[:2] + self._types.get(tag[2:], tag[2:])

    def _word_logits(self, scores: Sequence[Scores], places: Sequence[Place]) -> list[list[float]]:
        """Tag logits of every word, at its position; a word without one is certainly O. *Shape*: (words, tags)."""
        tables: list[Any] = [window.tolist() for window in scores]
        surely = [-inf] * len(self.tags)
        surely[self._outside] = 0.0
        return [surely if place is None else tables[place[0]][place[1]] for place in places]

    def _alike(self, number: int) -> list[int]:
        """1 for every tag with the same label as this one, whatever its prefix, 0 for the others."""
        label = self.tags[number][2:]
        return [tag[2:] == label for tag in self.tags]

    def _follows(self, tags: Sequence[int]) -> bool:
        if self.settings.scheme == "WORDS":
            return True
        steps = pairwise(self.tags[at] for at in (self._outside, *tags, self._outside))
        return all(may_follow(before, tag, self.settings.scheme) for before, tag in steps)

    @cached_property
    def _origins(self) -> list[tuple[list[int], list[int]]]:
        """Group tags by the tags that may come before them.

        Returns the allowed tags before each group, then the members of each group.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for at, tag in enumerate(self.tags):
            before = (n for n, other in enumerate(self.tags) if may_follow(other, tag, self.settings.scheme))
            groups.setdefault(tuple(before), []).append(at)
        return [(list(before), after) for before, after in groups.items() if before]

    def _best_path(self, logits: Sequence[Sequence[float]]) -> list[int]:
        """Most likely tag sequence that the scheme allows (Viterbi 1967, every allowed transition equally likely).

        Logits serve as well as log probabilities: for one word they differ by a constant. The best transition is
        computed once for all tags with the same allowed predecessors; a scheme has few such groups.
        """
        # A text begins after O and ends before O.
        begin = [-inf] * len(self.tags)
        begin[self._outside] = 0.0
        totals, origins = [begin], []
        for row in logits:
            total, origin = [-inf] * len(self.tags), [0] * len(self.tags)
            for before, after in self._origins:
                best = max(before, key=totals[-1].__getitem__)
                for tag in after:
                    total[tag], origin[tag] = totals[-1][best] + row[tag], best
            totals.append(total)
            origins.append(origin)
        ends = next(before for before, after in self._origins if self._outside in after)
        path = [max(ends, key=totals[-1].__getitem__)]
        for origin in reversed(origins[1:]):
            path.append(origin[path[-1]])
        return path[::-1]


def _mean_probability(logits: Sequence[Sequence[float]], chosen: Sequence[int]) -> float:
    """Mean over words of the probability that one of the chosen tags is correct.

    *Shape* of the logits: (words, tags); of `chosen`, 1 or 0 each: (tags,).
    """
    shares = []
    for row in logits:
        most = max(row)
        exponentials = [exp(logit - most) for logit in row]
        shares.append(dot(exponentials, chosen) / sum(exponentials))
    return sum(shares) / len(shares)


def _is_visible(word: object) -> bool:
    """Whether a word is more than white space; values that are not strings are refused later."""
    return bool(str(word).strip())


def _around_tokens(
    text: str, places: Sequence[tuple[int, int]], tokens: Sequence[tuple[int, int]], spaced: bool
) -> list[tuple[int, int]]:
    """Ranges of words with the white space that is encoded with them.

    White space before an added token belongs to the word before, unless the token takes it. If words are not `spaced`
    later, every other word includes the space before it.
    """
    starts = {first + len(text[first:end]) - len(text[first:end].lstrip()): (first, end) for first, end in tokens}
    found: list[tuple[int, int]] = []
    taken = 0
    for first, end in places:
        begin = first
        if first in starts:
            before, taken = starts[first]
            if found:
                found[-1] = (found[-1][0], before)
            else:
                begin = 0
        elif not spaced and first > taken:
            begin -= text[first - 1].isspace()
        found.append((begin, end))
    return found
