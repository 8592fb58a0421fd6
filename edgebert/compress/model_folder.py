"""Check a checkpoint's config and tokenizer before PyTorch is imported."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path

from edgebert.compress.config_entries import check_config
from edgebert.compress.config_shapes import check_shapes
from edgebert.compress.families import FAMILIES, family_of_class
from edgebert.compress.git_lfs import check_fetched
from edgebert.compress.json_file import read_object
from edgebert.compress.label_names import check_entries
from edgebert.compress.normalizer import normalizer_settings
from edgebert.compress.weight_paths import check_merged, weight_files, weight_shapes
from edgebert.errors import CheckpointError
from edgebert.leftovers import is_ours
from edgebert.strict_json import Json

# Files that transformers 5 saves, and those of older versions.
TOKENIZER_FILES = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
# transformers also builds the tokenizer from these.
ADDED = "added_tokens.json"
TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", ADDED)
# A SentencePiece model, which the runtime's tokenizers cannot read.
DEBERTAS = "spm.model"
SENTENCE_PIECES = ("sentencepiece.bpe.model", "spiece.model", DEBERTAS)


def check_described(folder: Path) -> None:
    """Refuse a folder whose config or tokenizer a bundle could not follow.

    Raises:
        CheckpointError: The config or tokenizer is missing, files contradict each other, sizes differ from the
            weights', or the model is not supported.
    """
    path = folder / "config.json"
    if is_ours(folder):
        raise CheckpointError(f"{folder}: a bundle, not a checkpoint; give the folder of the model it was made from")
    _check_files(folder)
    if not path.is_file():
        weight_files(folder)  # names an adapter, or weights of another kind, for what they are
        raise CheckpointError(f"{folder}: no config.json; give a folder saved with save_pretrained")
    config = read_object(path)
    check_config(folder, config)
    check_entries(config, str(path))
    _check_tokenizer(folder)
    _check_settings(folder)
    weight_files(folder)
    _check_class(path, config)
    normalizer_settings(folder)
    with contextlib.suppress(ModuleNotFoundError):  # without safetensors, the export says what to install
        shapes = weight_shapes(folder)
        check_merged(folder, shapes)
        check_shapes(path, config, shapes)


def _check_class(path: Path, config: dict[str, Json]) -> None:
    """Refuse a model whose class belongs to another family than its `model_type`: it would be loaded wrongly."""
    names, stated = config.get("architectures"), FAMILIES[str(config["model_type"])]
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""
    found = family_of_class(name)
    # Families with the same prefix, such as RoBERTa and XLM-RoBERTa, compute the same.
    if found and found.prefix != stated.prefix:
        raise CheckpointError(
            f"{path}: model_type is {stated.model_type!r}, but architectures names {name!r:.60}, a class of "
            f"{found.model_type}; correct the entry that is wrong, or save the model again with save_pretrained"
        )


def _check_tokenizer(folder: Path) -> None:
    """Refuse a folder without tokenizer files that the runtime can read."""
    there = [names for names in TOKENIZER_FILES if all((folder / name).is_file() for name in names)]
    if there:
        for name in there[0]:
            check_fetched(folder / name)
        return
    found = next((name for name in SENTENCE_PIECES if (folder / name).is_file()), "")
    if found:
        # transformers 5 omits DeBERTa's normalization of characters (findings/).
        version = " 4" if found == DEBERTAS else ""
        raise CheckpointError(
            f"{folder}: {found} without a tokenizer.json; make one with transformers{version} and the sentencepiece "
            "and protobuf packages: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    raise CheckpointError(
        f"{folder}: no tokenizer.json, vocab.txt, or vocab.json with merges.txt; "
        "save the tokenizer into the same folder"
    )


def _check_settings(folder: Path) -> None:
    """Refuse tokenizer settings that are not strict JSON, and added tokens with invalid ids."""
    for name in TOKENIZER_SETTINGS:
        path = folder / name
        settings = read_object(path, "save the tokenizer again") if path.is_file() else {}
        for token, number in settings.items() if name == ADDED else ():
            if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 32:
                raise CheckpointError(
                    f"{path}: the id of {token!r:.60} is {number!r:.40}; give each token a whole number of 0 or more, "
                    "or save the tokenizer again"
                )


def _check_files(folder: Path) -> None:
    """Refuse pipes, devices and sockets: transformers would wait for them, or read them without end."""
    for place in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):  # a link that leads nowhere
            mode = place.stat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise CheckpointError(f"{place}: neither a file nor a folder; remove it, or copy the folder again")
