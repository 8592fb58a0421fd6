"""What a caller gives a model: a text, a pair, several of them, a batch size. Wrong types are refused by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from edgebert.errors import InputError, TextError
from edgebert.escape import shown_value
from edgebert.runtime.encode import Encoded

Text = str | tuple[Any, ...]


def are_several(text: object) -> bool:
    """Whether an object yields texts one after another; a mapping does not count, since it yields keys."""
    return isinstance(text, Iterable) and not isinstance(text, bytes | bytearray | Mapping)


def as_list(texts: Any) -> Any:  # noqa: ANN401
    """Convert a numpy array or a pandas Series to a list; return anything else unchanged.

    Raises:
        TextError: It is a DataFrame, or an array that is not one-dimensional. (A loop over a DataFrame yields its
            column names, which would be valid texts.)
    """
    if isinstance(texts, str | tuple | list):
        return texts
    shape = getattr(texts, "shape", None)
    if hasattr(texts, "columns") and isinstance(shape, tuple) and len(shape) == 2:
        names = [str(name) for name in texts.columns]
        first = repr("text" if "text" in names or not names else names[0])
        raise TextError(
            f"a {type(texts).__name__} with the columns {', '.join(names)[:80]} was given; "
            f"give one of them: model(frame[{first}].tolist())"
        )
    dimensions = getattr(texts, "ndim", None)
    if not isinstance(dimensions, int) or not hasattr(texts, "tolist"):
        return texts
    if dimensions != 1:
        raise TextError(f"an array of the shape {shape} was given; give one dimension, a text in each element")
    listed = texts.tolist()
    if not isinstance(listed, list):
        raise TextError(f"the {type(texts).__name__} {shown_value(texts)} was given; give a list of texts")
    return listed


def check_batch_size(batch_size: object) -> None:
    """Refuse a batch size that is not a whole number of 1 or more.

    Raises:
        InputError: Names the value.
    """
    if type(batch_size) is not int or batch_size < 1:
        raise InputError(f"batch_size is {shown_value(batch_size)}; give a whole number of 1 or more")


def check_encoded(encoded: object) -> None:
    """Refuse anything but a sequence of encoded texts.

    Raises:
        TextError: Names the type.
    """
    wrong = encoded
    if isinstance(encoded, Sequence) and not isinstance(encoded, str | bytes):
        odd = [each for each in encoded if not isinstance(each, Encoded)]
        if not odd:
            return
        wrong = odd[0]
    raise TextError(
        f"{type(wrong).__name__} {shown_value(wrong)} is not an encoded text; give results of model.task.encode"
    )


def single_or_pair(segments: int, given: Text) -> Text:
    """Refuse a pair if the bundle takes single texts, and a single text if it takes pairs.

    Raises:
        TextError: Says which of the two the bundle takes.
    """
    if isinstance(given, tuple):
        if len(given) != 2:
            raise TextError(f"a tuple of {len(given)} was given; a pair is (text, text_pair), several texts are a list")
        if segments == 1:
            raise TextError("a pair of texts was given, but this bundle takes single texts; give one text")
    elif segments == 2:
        raise TextError(
            f"the single text {shown_value(given)} was given, but this bundle compares pairs; "
            "give (text, text_pair), or --text-pair"
        )
    return given
