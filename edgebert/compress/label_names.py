"""Read the names of a head's outputs from `config.json`, in every form that transformers loads."""

from __future__ import annotations

from collections.abc import Mapping

from edgebert.errors import CheckpointError
from edgebert.strict_json import Json


def label_names(config: Mapping[str, Json], count: int, source: str) -> list[str]:
    """Names of the `count` outputs of a head, in order; `LABEL_n` for an output that the config does not name.

    Numbers and booleans become strings. Names come from `id2label`, from `label2id` if that is all there is.

    Raises:
        CheckpointError: An entry is not a name or is beyond the head's outputs, or the list of names is empty.
    """
    if config.get("id2label") == {} and count:
        raise CheckpointError(
            f"{source}: id2label is empty, but the head has {count} outputs; name them, or remove the entry"
        )
    entries, stated = _entries(config, source), config.get("num_labels")
    if isinstance(stated, int) and stated != count:
        raise CheckpointError(f"{source}: num_labels is {stated}, but the head has {count} outputs; correct it")
    beyond = sorted(number for number in entries if not 0 <= number < count)
    if beyond:
        raise CheckpointError(
            f"{source}: id2label names output {beyond[0]} ({entries[beyond[0]]!r:.40}), but the head has {count} "
            f"outputs, numbered 0 to {count - 1}; correct id2label"
        )
    return [_name(entries.get(number), number, source) for number in range(count)]


def check_entries(config: Mapping[str, Json], source: str) -> None:
    """Refuse names that transformers cannot load.

    transformers reads them for the tokenizer too, and its error would name the tokenizer.

    Raises:
        CheckpointError: `id2label` is not an object, or has a key that is not a number.
    """
    _entries(config, source)


def _entries(config: Mapping[str, Json], source: str) -> dict[int, object]:
    """Names by the number of the output, as in the config."""
    stated = config.get("id2label")
    if stated is None:
        return _reversed(config.get("label2id"), source)
    if not isinstance(stated, Mapping):
        raise CheckpointError(
            f'{source}: id2label is a {type(stated).__name__}; expected an object such as {{"0": "negative"}}'
        )
    return {_number(key, f"{source}: id2label has the key"): name for key, name in stated.items()}


def _reversed(label2id: object, source: str) -> dict[int, object]:
    stated = label2id.items() if isinstance(label2id, Mapping) else ()
    return {_number(number, f"{source}: label2id gives {name!r:.40} the number"): name for name, number in stated}


def _number(stated: object, fact: str) -> int:
    try:
        return int(str(stated))
    except ValueError:
        raise CheckpointError(f'{fact} {stated!r:.40}; expected the number of an output, such as "0"') from None


def _name(value: object, number: int, source: str) -> str:
    if value is None:
        return f"LABEL_{number}"
    if isinstance(value, str | int | float):
        return str(value)
    raise CheckpointError(
        f"{source}: id2label names output {number} with a {type(value).__name__}; expected a string or a number"
    )
