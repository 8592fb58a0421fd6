"""Read a sentence-transformers folder's files beside its encoder: modules, longest input, prompts, similarity.

Supported settings go into the recipe's head settings; every other is refused by name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgebert.compress.encoder_settings import ROWS, check_encoder_settings, encoder_settings, longest_input
from edgebert.compress.json_file import read_value
from edgebert.compress.sentence_modules import KINDS, VectorStep, check_entries, check_there, read_object, read_step
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import Recipe
from edgebert.strict_json import Json

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
LIBRARY = "sentence_transformers."
# Value in config_sentence_transformers.json for the kind of model whose modules are used.
KIND = "SentenceTransformer"
MAX_NAME = 255
ENTRY = ("name", "path", "type")
# Flags for poolings before sentence-transformers 5, in the order in which it joins their vectors.
OLD_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Poolings that the library's Pooling supports.
POOLING_ENTRIES = ("embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt", *OLD_POOLINGS)


@dataclass(frozen=True)
class SentenceFolder:
    """What the folder's modules and settings do with the encoder's rows.

    Attributes:
        pooling: Poolings whose vectors are concatenated, such as "mean" or "cls+max".
        normalize: Whether vectors are divided by their length.
        max_length: Longest input in tokens; None if not stated.
        prompts: Texts that can be put before a text, by name.
        default_prompt: Name of the default prompt; "" for none.
        steps: Modules after the pooling, without a Normalize module at the end.
        places: The folder of each of `steps`.
    """

    pooling: str = "mean"
    normalize: bool = False
    max_length: int | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str = ""
    steps: tuple[VectorStep, ...] = ()
    places: tuple[Path, ...] = ()


def encoder_folder(folder: Path) -> Path:
    """The folder of the Transformer module in `modules.json`; the given folder itself without that file.

    Raises:
        CheckpointError: The list has no Transformer module, and the folder itself holds no model either.
    """
    if not (folder / MODULES).is_file():
        return folder
    kinds = module_kinds(folder)
    found = next((path for kind, path in kinds if kind == "Transformer"), None)
    if found is None and kinds and not (folder / "config.json").is_file():
        raise CheckpointError(
            f"{folder / MODULES}: module {kinds[0][0]} ({kinds[0][1].name}) is no transformer encoder; give a folder "
            "whose first module is Transformer, or use sentence-transformers"
        )
    return found or folder


def lower_cases(encoder: Path) -> bool:
    """Whether texts are lower-cased before the encoder's tokenizer reads them."""
    return bool(encoder_settings(encoder).get("do_lower_case"))


def read_sentence_folder(folder: Path) -> SentenceFolder | None:
    """Read a folder that sentence-transformers saved; return None for any other.

    Raises:
        CheckpointError: A bundle cannot do a module or a setting; names file, entry and remedy.
    """
    if not (folder / MODULES).is_file():
        return None
    modules = module_kinds(folder)
    _check_kinds(folder / MODULES, modules)
    encoder, settings = modules[0][1], read_object(folder / SETTINGS)
    _check_model_type(folder / SETTINGS, settings)
    prompts = _prompts(folder / SETTINGS, settings)
    pooling = _pooling(modules[1][1] / "config.json", any(prompts[0].values()))
    steps, places = _steps(modules[2:])
    width = _truncated_width(folder / SETTINGS, settings)
    if width:
        steps, places = [*steps, VectorStep("Truncate", outputs=width)], [*places, folder]
    normalize = bool(steps) and steps[-1].kind == "Normalize"
    if normalize:
        steps, places = steps[:-1], places[:-1]
    _check_similarity(folder / SETTINGS, settings, normalize)
    check_encoder_settings(encoder, ROWS)
    return SentenceFolder(
        pooling, normalize, longest_input(encoder, with_settings=True), *prompts, tuple(steps), tuple(places)
    )


def with_sentence_settings(recipe: Recipe, found: SentenceFolder) -> Recipe:
    """Return a recipe whose head follows the folder, except for what the recipe states itself.

    Raises:
        SettingsError: The recipe contradicts the folder and does not train.
    """
    pooling = recipe.head.get("pooling", found.pooling)
    if recipe.finetune is None and pooling != found.pooling:
        raise SettingsError(
            f"head.pooling is {pooling!r}, but the checkpoint's Pooling module says {found.pooling!r}; "
            "leave it (or --pooling) out, or train with a recipe that has a [finetune] table"
        )
    stated: dict[str, Json] = {
        "pooling": found.pooling,
        "prompts": found.prompts,
        "default_prompt": found.default_prompt,
    }
    length = min(recipe.data.max_length, found.max_length or recipe.data.max_length)
    return replace(recipe, head=stated | recipe.head, data=replace(recipe.data, max_length=length))


def differences(recipe: Recipe, found: SentenceFolder) -> list[str]:
    """List how a bundle of this recipe differs from the folder, one sentence each."""
    said = []
    if found.max_length and found.max_length < recipe.data.max_length:
        said.append(
            f"texts are cut to {found.max_length} tokens, the folder's longest input, not to the recipe's "
            f"{recipe.data.max_length}"
        )
    if not found.normalize and "normalize" not in recipe.head:
        said.append(
            "the folder's vectors are not normalized (no Normalize, or truncate_dim after it), but the bundle's are; "
            "cosines are the same; set head.normalize to false to keep their lengths"
        )
    return said


def module_kinds(folder: Path) -> list[tuple[str, Path]]:
    """Kind and folder of every module, in order; a class of another package has its full name.

    Raises:
        CheckpointError: Not a list of modules, a folder outside this one, or two modules with one name.
    """
    path = folder / MODULES
    entries = read_value(path, "a list of modules", "save the folder again")
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise CheckpointError(
            f"{path}: not a list of modules, each an object with the strings {', '.join(ENTRY)}; save the folder again"
        )
    found = [(_kind(entry["type"]), folder / entry["path"]) for entry in entries]
    names = [entry["name"] for entry in entries]
    for _, place in found:
        if any(len(part) > MAX_NAME for part in place.parts):
            raise CheckpointError(f"{path}: names the folder {place.name[:40]!r}…, which is too long; shorten it")
        if folder.resolve() not in (place.resolve(), *place.resolve().parents):
            raise CheckpointError(f"{path}: names the folder {place}; expected folders inside {folder}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CheckpointError(f"{path}: two modules have the name {twice!r:.40}; give each a name of its own")
    return found


def _is_entry(entry: object) -> bool:
    """Whether a value is a module of the list; a path with U+0000 is not."""
    if not isinstance(entry, dict):
        return False
    return all(isinstance(entry.get(name), str) for name in ENTRY) and "\0" not in entry["path"]


def _kind(class_name: str) -> str:
    return class_name.rpartition(".")[2] if class_name.startswith(LIBRARY) else class_name


def _check_kinds(path: Path, modules: list[tuple[str, Path]]) -> None:
    """Refuse modules that a bundle cannot do, or cannot do in this order."""
    kinds = [kind for kind, _ in modules]
    for kind, place in modules:
        if kind not in ("Transformer", "Pooling", *KINDS):
            raise CheckpointError(
                f"{path}: module {kind} ({place.name}) cannot be exported; supported: Transformer, Pooling, "
                f"{', '.join(KINDS)}; remove it and train the folder's vectors again, or use sentence-transformers"
            )
    if kinds[:2] != ["Transformer", "Pooling"] or not set(kinds[2:]) <= set(KINDS):
        raise CheckpointError(
            f"{path}: modules {', '.join(kinds) or '(none)'}; expected Transformer, Pooling, each once and in this "
            f"order, then any of {', '.join(KINDS)}"
        )


def _check_model_type(path: Path, settings: dict[str, Json]) -> None:
    """Refuse another kind of model: the library ignores its modules, and pools the encoder's rows by their mean."""
    stated = settings.get("model_type", KIND)
    if stated != KIND:
        raise CheckpointError(
            f"{path}: model_type is {stated!r:.40}, and sentence-transformers ignores the modules of any kind but "
            f"{KIND!r}; set it to {KIND!r} if they make one vector per text, else remove {MODULES}"
        )


def _steps(modules: list[tuple[str, Path]]) -> tuple[list[VectorStep], list[Path]]:
    """The modules after the pooling, and their folders."""
    found = [(read_step(kind, place), place) for kind, place in modules]
    return [step for step, _ in found if step], [place for step, place in found if step]


def _pooling(path: Path, prompted: bool) -> str:
    check_there(path)
    config = read_object(path)
    check_entries(path, config, POOLING_ENTRIES)
    old = [mode for name, mode in OLD_POOLINGS.items() if config.get(name)] or ["mean"]
    modes = config.get("pooling_mode", old)
    modes = modes if isinstance(modes, list) else [modes]
    unknown = [mode for mode in modes if mode not in OLD_POOLINGS.values()]
    if unknown or not modes:
        shown = f"{unknown[0]!r:.40}" if unknown else "an empty list"
        raise CheckpointError(f"{path}: pooling_mode is {shown}; supported: {', '.join(OLD_POOLINGS.values())}")
    included = config.get("include_prompt", True)
    if prompted and not included:
        raise CheckpointError(
            f"{path}: include_prompt is {json.dumps(included):.40}, and {SETTINGS} has prompts; leaving a prompt's "
            "tokens out of pooling cannot be exported: set include_prompt to true, or remove the prompts"
        )
    return "+".join(map(str, modes))


def _prompts(path: Path, settings: dict[str, Json]) -> tuple[dict[str, str], str]:
    prompts, default = settings.get("prompts") or {}, settings.get("default_prompt_name") or ""
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise CheckpointError(f"{path}: prompts is {prompts!r:.60}; expected an object of strings by name")
    if not isinstance(default, str) or (default and default not in prompts):
        raise CheckpointError(
            f"{path}: default_prompt_name is {default!r:.60}, which is not among prompts; name one of them"
        )
    return prompts, default if prompts.get(default) else ""


def _check_similarity(path: Path, settings: dict[str, Json], normalize: bool) -> None:
    similarity = settings.get("similarity_fn_name") or "cosine"
    if similarity != "cosine" and not (similarity == "dot" and normalize):
        raise CheckpointError(
            f"{path}: similarity_fn_name is {similarity!r:.40}; a bundle compares by cosine: set it to 'cosine' if "
            "that is how the vectors are used"
        )


def _truncated_width(path: Path, settings: dict[str, Json]) -> int | None:
    """Width to which every vector is truncated after all modules; None for no truncation."""
    width = settings.get("truncate_dim")
    if width is not None and (isinstance(width, bool) or not isinstance(width, int) or width < 1):
        raise CheckpointError(f"{path}: truncate_dim is {width!r:.40}; expected a whole number of 1 or more, or null")
    return width
