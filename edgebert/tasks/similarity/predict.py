"""Sentence similarity: an embedding of a text, the cosine of a pair of texts, search among many texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

from edgebert.errors import DataError, InputError, TextError
from edgebert.escape import shown_value
from edgebert.options import flag
from edgebert.runtime.encode import Encoded, check_text
from edgebert.runtime.inputs import Text, as_list, check_batch_size, single_or_pair
from edgebert.runtime.model import Model, as_arrays, check_finite
from edgebert.runtime.plain_math import dot, numbers_of
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.progress import shown
from edgebert.runtime.session import Session, TextOutputs
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.similarity.spec import SPEC, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebert.data.examples import Example
    from edgebert.manifest import Facts

Vectors: TypeAlias = "NDArray[np.float32]"
Indices: TypeAlias = "NDArray[np.int64]"


# Minimum divisor of a vector.
SHORTEST = 1e-12


@dataclass(frozen=True)
class Embedding(Prediction):
    """A unit vector of a text, and whether the text was truncated."""

    embedding: list[float]
    truncated: bool

    @property
    def is_cut(self) -> bool:
        """Whether the text was truncated."""
        return self.truncated

    def __str__(self) -> str:
        """The width and the first numbers."""
        shown = " ".join(f"{number:.4f}" for number in self.embedding[:4])
        return f"{len(self.embedding)} numbers: {shown} …"


@dataclass(frozen=True)
class Similarity(Prediction):
    """Cosine of the two embeddings of a pair, -1 to 1, and whether either text was truncated."""

    score: float
    truncated: bool

    @property
    def is_cut(self) -> bool:
        """Whether either text was truncated."""
        return self.truncated

    def __str__(self) -> str:
        """The cosine."""
        return f"{self.score:.4f}"


class SentenceSimilarity(DeviceTask[Settings, Text, Embedding | Similarity]):
    """Every text is encoded separately; the graph pools and normalizes."""

    spec = SPEC

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (None,)

    def encode(self, given: Text) -> list[Encoded]:
        """One window per text, with the default prompt; a text that is too long is truncated."""
        texts = single_or_pair(2, given) if isinstance(given, tuple) else (given,)
        return [self.encode_prompted(text, None) for text in texts]

    def encode_prompted(self, text: str, prompt_name: str | None) -> Encoded:
        """Encode a text with a prompt: the named one, the default one for None, none for "".

        Raises:
            InputError: There is no prompt with that name.
        """
        name = self.settings.default_prompt if prompt_name is None else prompt_name
        if not isinstance(name, str) or (name and name not in self.settings.prompts):
            known = ", ".join(self.settings.prompts) or "none"
            raise InputError(f"prompt_name is {shown_value(name, 80)}; this bundle has the prompts: {known}")
        check_text(text, "text")
        return self.encoder.encode(self.settings.prompts[name] + text if name else text)

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Embedding | Similarity:
        """The embedding of a text, or the cosine of a pair. *Shape* of an output: (width,)."""
        truncated = any(window.truncated for window in windows)
        vectors = [numbers_of(output[0]) for output in outputs]
        if len(vectors) == 1:
            return Embedding(vectors[0], truncated)
        left, right = vectors
        cosine = dot(left, right)
        if not self.settings.normalize:
            cosine /= max(sqrt(dot(left, left)), SHORTEST) * max(sqrt(dot(right, right)), SHORTEST)
        return Similarity(min(max(cosine, -1.0), 1.0), truncated)

    def given(self, example: Example) -> Text:
        """The row's two texts, or its only one."""
        return example.text if example.text_pair is None else (example.text, example.text_pair)

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> float:
        """The row's score.

        Raises:
            DataError: A row has no score or no second text.
        """
        if example.text_pair is None:
            raise DataError(
                f"{example.place}: no second text; name its column (--pair-column, in a recipe data.text_pair)"
            )
        if example.label is None:
            raise DataError(f"{example.place}: no score; expected a number from {self.settings.range}")
        return float(example.label)

    def predicted(self, prediction: Embedding | Similarity) -> float | list[float]:
        """The cosine of a pair, or the embedding of a single text.

        Rank and correlation metrics do not depend on the unit of a score.
        """
        return prediction.score if isinstance(prediction, Similarity) else prediction.embedding

    @property
    def score_range(self) -> str:
        """The range of the scores of pairs in data files."""
        return self.settings.range

    def model(self, facts: Facts, session: Session) -> SentenceModel:
        """The opened bundle, with `embed`, `similarity` and `search`."""
        return SentenceModel(facts, self, session)


class SentenceModel(Model):
    """An opened bundle that embeds texts: call it with a text or a pair, or use the methods here for arrays."""

    def __init__(self, facts: Facts, task: SentenceSimilarity, session: Session) -> None:
        """Combine the parts of an opened bundle; `edgebert.load` does this."""
        super().__init__(facts, task, session)
        self.widths = tuple(task.settings.widths)
        self._sentences = task

    def embed(
        self,
        texts: Iterable[str],
        width: int | None = None,
        *,
        batch_size: int = 32,
        prompt_name: str | None = None,
        progress: bool = False,
    ) -> Vectors:
        """Embeddings of texts, in order.

        Args:
            texts: Strings; longer ones are truncated to the bundle's longest input.
            width: Keep this many of the first dimensions, and normalize again: one of `widths`, or None for all.
            batch_size: Maximum number of texts that run together.
            prompt_name: Prompt before every text: one of the bundle's, "" for none, None for its default.
            progress: Whether stderr shows how many texts are embedded, and the time left.

        Returns:
            Unit vectors, unless the bundle has `normalize = false`. *Shape*: (texts, width), float32.

        Raises:
            TextError: Not an iterable of strings, no strings, or a string without a token.
            InputError: The embeddings were not trained for this width, `batch_size` is below 1, or there is no such
                prompt.
            RunError: The graph's outputs have NaN or infinity.
        """
        from edgebert.runtime.vectors import stacked

        check_batch_size(batch_size)
        if isinstance(texts, str | bytes | Mapping) or not isinstance(texts, Iterable):
            raise TextError(f"the {type(texts).__name__} {shown_value(texts)} was given; give a list of texts")
        listed = list(as_list(texts))
        if not listed:
            raise TextError("an empty list was given; give at least one text")
        for number, text in enumerate(listed, 1):
            check_text(text, f"text {number} of {len(listed)}")
        with shown(flag(progress, "progress"), len(listed)) as advance:
            if prompt_name is None:
                encoded = [window for several in self._windows(listed) for window in several]
            else:
                encoded = [self._sentences.encode_prompted(text, prompt_name) for text in listed]
            rows = [as_arrays(row) for row in self._read(encoded, batch_size, advance, len(listed))]
        check_finite(rows)
        return self._cut(stacked(rows), width)

    def similarity(
        self, a: str | Sequence[str], b: str | Sequence[str], width: int | None = None, *, batch_size: int = 32
    ) -> Any:  # noqa: ANN401
        """Cosines of embeddings; `width` and `batch_size` as for `embed`.

        Returns:
            A float for two strings; else every text of `a` against every text of `b`, where one string counts as a list
            of one. *Shape*: (texts of a, texts of b), float32.

        Raises:
            TextError: Not strings, no strings, or a string without a token.
            InputError: The embeddings were not trained for this width.
        """
        from edgebert.runtime.vectors import cosines_of

        left, right = (self._unit(self.embed(_listed(texts), width, batch_size=batch_size)) for texts in (a, b))
        cosines = cosines_of(left, right)
        return float(cosines[0, 0]) if isinstance(a, str) and isinstance(b, str) else cosines

    def search(
        self,
        query: str | Sequence[str],
        corpus: Sequence[str] | Vectors,
        k: int = 10,
        *,
        batch_size: int = 32,
        prompt_name: str | None = None,
        progress: bool = False,
    ) -> tuple[Indices, Vectors]:
        """Find the `k` texts of a corpus whose embeddings are nearest to the query's, by comparing all of them.

        Args:
            query: A text, or several texts.
            corpus: Texts, or their embeddings from `embed`, also truncated to one of `widths`.
            k: Number of texts to return; all if the corpus is smaller.
            batch_size: Maximum number of texts that run together.
            prompt_name: Prompt of the query, as for `embed`; texts of the corpus have the default one.
            progress: Whether stderr shows how many texts of the corpus are embedded, and the time left.

        Returns:
            Positions in the corpus and cosines, best first; if equal, the earlier one first. *Shape* of both: (k,) for
            one text, (queries, k) for several.

        Raises:
            TextError: Not strings, no strings, or a string without a token.
            InputError: `k` is below 1, or the embeddings have another width, are not unit vectors, or are not numbers.
        """
        import numpy as np

        from edgebert.runtime.vectors import checked, nearest

        if not isinstance(k, int | np.integer) or k < 1:
            raise InputError(f"k is {shown_value(k)}; give a whole number of 1 or more")
        if isinstance(corpus, np.ndarray) and corpus.dtype.kind not in "OSU":
            known = checked(corpus, self._sentences.settings.normalize)
        else:
            known = self.embed(corpus, batch_size=batch_size, progress=progress)
        asked = self.embed(_listed(query), batch_size=batch_size, prompt_name=prompt_name)
        asked = self._unit(self._cut(asked, known.shape[1]))
        best, found = nearest(asked, self._unit(known), k)
        return (best[0], found[0]) if isinstance(query, str) else (best, found)

    def _cut(self, vectors: Vectors, width: int | None) -> Vectors:
        import numpy as np

        full, is_whole = vectors.shape[1], isinstance(width, int | np.integer)
        if width is None or (is_whole and width == full):
            return vectors
        if not is_whole or width not in self.widths or width > full:
            allowed = (
                f"can be truncated to {', '.join(map(str, self.widths))}" if self.widths else "cannot be truncated"
            )
            raise InputError(
                f"width is {shown_value(width)}; this bundle's embeddings are {full} wide and {allowed} (head.widths)"
            )
        from edgebert.runtime.vectors import unit

        return unit(vectors[:, :width])

    def _unit(self, vectors: Vectors) -> Vectors:
        """Normalize vectors for cosines. *Shape*: (texts, width)."""
        from edgebert.runtime.vectors import unit

        return vectors if self._sentences.settings.normalize else unit(vectors)


def _listed(texts: str | Sequence[str]) -> Sequence[str]:
    return [texts] if isinstance(texts, str) else texts
