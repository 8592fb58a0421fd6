"""Read the facts about vectors, labels and inputs from a checkpoint's folder, for an export without a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgebert.compress.cross_encoder import activation_of, head_outputs
from edgebert.compress.head_tags import UNNAMED, own_scheme, written_plainly
from edgebert.compress.label_names import label_names
from edgebert.compress.sentence_folder import MODULES, SentenceFolder
from edgebert.data.tags import Scheme
from edgebert.escape import shortened
from edgebert.strict_json import Json

SIGMOID = "sigmoid of the output"
SCHEMES: Mapping[Scheme, str] = {
    "BIO": "BIO, every entity begins with B-",
    "BIOES": "BIOES, an entity's only word has S-, its last one E-",
    "IOB1": "IOB1, an entity begins with I-, or with B- right behind another of its type",
    "WORDS": "WORDS, each word has a label of its own",
}
# A fact, its value, and the file that states it.
Fact = tuple[str, str, str]


def vector_facts(found: SentenceFolder, folder: Path, encoder: Path) -> list[Fact]:
    """Pooling, later modules and prompts of a sentence-transformers folder."""
    modules = str(folder / MODULES)
    length = "of length 1" if found.normalize else "of their own length"
    steps = "".join(f", {step}" for step in found.steps)
    facts = [("encoder", str(encoder), modules)] if encoder != folder else []
    facts.append(("vectors", f"{found.pooling} pooling{steps}, {length}", modules))
    if found.prompts:
        default = f" (by default {found.default_prompt})" if found.default_prompt else ""
        facts.append(("prompts", f"{', '.join(found.prompts)}{default}", "config_sentence_transformers.json"))
    return facts


def label_facts(path: Path, config: Mapping[str, Json], given: tuple[str, ...]) -> list[Fact]:
    """Names of a head's outputs, and the option to use if it has none."""
    if given:
        return [("labels", _shown(given), "--labels")]
    names = label_names(config, head_outputs(config), str(path))
    unnamed = all(UNNAMED.fullmatch(name) for name in names)
    stated = f"{path}: {'no names; --labels gives them' if unnamed else 'id2label'}"
    return [("labels", _shown(names), stated)]


def tag_facts(path: Path, config: Mapping[str, Json], given: tuple[str, ...]) -> list[Fact]:
    """Scheme of a tagger's tags. BIO and IOB1 have the same tags; only the head's outputs tell them apart."""
    names = given or label_names(config, head_outputs(config), str(path))
    scheme = own_scheme(written_plainly(names, {}), config)
    if scheme is None:
        return []
    stated = "--labels" if given else f"{path}: id2label"
    return [("tags", SCHEMES[scheme], f"{stated}; --set head.scheme names another")]


def score_fact(folder: Path) -> Fact:
    """What a cross-encoder's score is, and the file that says so."""
    path, name = activation_of(folder)
    if name is None:
        return ("score", SIGMOID, "as in sentence-transformers; --set head.activation=none for the output itself")
    return ("score", SIGMOID if name == "Sigmoid" else "the output itself", str(path))


def _shown(names: Sequence[str]) -> str:
    return shortened(f"{', '.join(names)} ({len(names)})" if len(names) > 2 else ", ".join(names))
