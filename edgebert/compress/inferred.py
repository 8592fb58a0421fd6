"""Infer a recipe from a checkpoint's folder, with the file that states each fact.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgebert.compress import encoder_settings
from edgebert.compress.cross_encoder import ALLOWED, counts_settings, head_outputs, is_cross_encoder
from edgebert.compress.families import FAMILIES
from edgebert.compress.inferred_facts import label_facts, score_fact, tag_facts, vector_facts
from edgebert.compress.labels import by_number
from edgebert.compress.model_folder import check_described
from edgebert.compress.sentence_folder import MODULES, SentenceFolder, encoder_folder, read_sentence_folder
from edgebert.compress.sentence_modules import read_object
from edgebert.errors import CheckpointError, SettingsError
from edgebert.manifest import MANIFEST
from edgebert.precision import OF_CHECKPOINTS
from edgebert.recipe import DataSettings, ExportSettings, ModelSettings, QuantizeSettings, Recipe
from edgebert.runtimes import FORMATS, AskedPrecision
from edgebert.strict_json import Json
from edgebert.tasks.table import TASKS

# Suffixes of class names in `architectures`, with the task of each; heads for whole texts belong to several tasks.
ENDINGS = {
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForPreTraining": "fill-mask",
}
OF_TEXTS = "ForSequenceClassification"
# Other possible tasks of a head with one output.
OTHERWISE = {
    "rerank": ", a cross-encoder; use --task regression if the scores are correct to a scale and not only in their "
    "order",
    "regression": "; --task rerank if it scores documents for a query",
}
MULTI_LABEL = "multi_label_classification"
LABELLED = ("multi-label", "text-classification", "token-classification")
# Maximum of a recipe; longer inputs need a model that was made for them.
LONGEST = 512


@dataclass(frozen=True)
class Asked:
    """Options of an export without a recipe, for facts that the checkpoint's folder does not state.

    Attributes:
        task: A task's name.
        pooling: Pooling of an encoder's rows.
        labels: Names of the head's outputs, in order.
        text: A file of texts to check the model on; None for EdgeBERT's own sentences.
        pairs: Whether the model takes two texts at a time.
        precision: `int8`, `int8-weights` for INT8 weights and FP32 arithmetic, or `fp32`.
    """

    task: str = ""
    pooling: str = ""
    labels: tuple[str, ...] = ()
    text: Path | None = None
    pairs: bool = False
    precision: AskedPrecision = "int8"

    @property
    def given(self) -> list[str]:
        """The options that are set, as the command line spells them."""
        values = (
            ("--task", self.task),
            ("--pooling", self.pooling),
            ("--labels", self.labels),
            ("--text", self.text),
            ("--pairs", self.pairs),
            ("--precision", self.precision != "int8"),
        )
        return [option for option, value in values if value]


@dataclass(frozen=True)
class Inferred:
    """An inferred recipe, and its facts: name, value, and the file or option that states it."""

    recipe: Recipe
    facts: tuple[tuple[str, str, str], ...]


def infer(source: str, folder: Path, asked: Asked, texts: str) -> Inferred:
    """Make the recipe of an export that trains nothing.

    Args:
        source: The checkpoint as the user named it.
        folder: Its folder.
        asked: Options for facts that the folder does not state.
        texts: Name of the file of texts, in the data folder.

    Raises:
        CheckpointError: Its files do not state a required fact; the message names the option for it.
        SettingsError: An option does not apply to the task.
    """
    if (folder / MANIFEST).is_file():
        raise CheckpointError(f"{folder}: a bundle, not a checkpoint; give the folder of the model it was made from")
    encoder = encoder_folder(folder)
    check_described(encoder)
    config = read_object(encoder / "config.json")
    task, task_from = _task(folder, encoder / "config.json", config, asked)
    pairs, pairs_from = _pairs(folder, task, asked)
    length, length_from = _longest(encoder, config, counts_settings(folder, task))
    found = read_sentence_folder(folder) if task == "similarity" else None
    head = _head(task, found, asked)
    no_core = _no_core(config, asked)
    data = DataSettings(
        unlabelled=(texts,),
        text_pair="text_pair" if pairs else "",
        label_names=_label_names(task, config, asked),
        max_length=length,
    )
    recipe = Recipe(
        name=_name(source, folder),
        task=task,
        model=ModelSettings(source),
        head=head,
        data=data,
        quantize=QuantizeSettings(format=OF_CHECKPOINTS[asked.precision]),
        export=ExportSettings(formats=("onnx",) if no_core else ("onnx", "core"), stages=False),
    )
    facts = [("task", task, task_from), ("longest input", f"{length} tokens", length_from)]
    if pairs:
        facts.append(("input", "pairs of texts", pairs_from))
    elif task in ALLOWED:
        facts.append(("input", "single texts", "without --pairs"))
    if asked.pooling:
        facts.append(("pooling", asked.pooling, "--pooling"))
    elif found is not None:
        facts += vector_facts(found, folder, encoder)
    if task == "rerank":
        facts.append(score_fact(folder))
    facts += label_facts(encoder / "config.json", config, asked.labels) if task in LABELLED else []
    if task == "token-classification":
        facts += tag_facts(encoder / "config.json", config, asked.labels)
    if no_core:
        facts.append(("formats", "ONNX; no graph of the native core", no_core))
    return Inferred(recipe, tuple(facts))


def _name(source: str, folder: Path) -> str:
    """Name of the bundle: the folder's last part; for a package or a hub model, the last part of its name."""
    name = source.removeprefix("package:").rstrip("/").rpartition("/")[2]
    return name if name not in ("", ".", "..") else folder.resolve().name


def _task(folder: Path, path: Path, config: Mapping[str, Json], asked: Asked) -> tuple[str, str]:
    if asked.task:
        if asked.task not in TASKS:
            raise SettingsError(f"--task is {asked.task!r:.40}; expected one of {', '.join(TASKS)}")
        return asked.task, "--task"
    if (folder / MODULES).is_file() and not is_cross_encoder(folder):
        return "similarity", str(folder / MODULES)
    if asked.pooling:
        return "similarity", "--pooling"
    classes = config.get("architectures")
    named = str(classes[0]) if isinstance(classes, list) and classes else ""
    task = next((task for ending, task in ENDINGS.items() if named.endswith(ending)), "")
    if named.endswith(OF_TEXTS):
        task = _task_of_texts(folder, config)
    if not task:
        raise CheckpointError(
            f"{path}: architectures is {classes!r:.80}, which names no task; give --task (for vectors of texts "
            "--task similarity --pooling mean, or as the model was trained)"
        )
    outputs = f", {_outputs(config)}" if named.endswith(OF_TEXTS) else ""
    return task, f"{path}: {named}{outputs}{OTHERWISE.get(task, '')}"


def _outputs(config: Mapping[str, Json]) -> str:
    count = head_outputs(config)
    return f"{count} output{'s' * (count != 1)}"


def _task_of_texts(folder: Path, config: Mapping[str, Json]) -> str:
    if config.get("problem_type") == MULTI_LABEL:
        return "multi-label"
    count = head_outputs(config)
    if count != 1 and config.get("problem_type") == "regression":
        raise CheckpointError(
            f"{folder / 'config.json'}: problem_type is regression and the head has {count} outputs, but EdgeBERT's "
            "regression has one; export one model per output"
        )
    if count != 1:
        return "text-classification"
    return "rerank" if is_cross_encoder(folder) else "regression"


def _pairs(folder: Path, task: str, asked: Asked) -> tuple[bool, str]:
    if asked.pairs and task not in (*ALLOWED, "question-answering"):
        raise SettingsError(f"--pairs asks for pairs of texts, but {task} takes one text at a time; leave it out")
    if asked.pairs:
        return True, "--pairs"
    if task == "rerank" or task not in ALLOWED:
        return task in ("rerank", "question-answering"), "the task"
    return is_cross_encoder(folder), f"{folder}: a cross-encoder of sentence-transformers"


def _longest(encoder: Path, config: Mapping[str, Json], with_settings: bool) -> tuple[int, str]:
    """Longest input in tokens: what the folder states, at most its positions and a recipe's limit."""
    positions = config.get("max_position_embeddings")
    found = [(LONGEST, "EdgeBERT's limit")]
    if isinstance(positions, int) and not isinstance(positions, bool):
        family = FAMILIES.get(str(config.get("model_type")))
        padding = config.get("pad_token_id")
        skipped = (padding if isinstance(padding, int) else 1) + 1 if family is not None and family.skips_padding else 0
        found.append((positions - skipped, f"{encoder / 'config.json'}: max_position_embeddings"))
    stated = encoder_settings.longest_input(encoder, with_settings)
    if stated is not None:
        found.append((stated, str(encoder_settings.stating_file(encoder, with_settings))))
    length, source = min(found, key=lambda item: item[0])
    if length < encoder_settings.SHORTEST:
        raise CheckpointError(
            f"{source} has room for {length} tokens, but the longest input of a bundle is {encoder_settings.SHORTEST} "
            "or more; give a model with more positions"
        )
    return length, source


def _head(task: str, found: SentenceFolder | None, asked: Asked) -> dict[str, Json]:
    """Settings of the head. Vectors keep their length if the folder does not normalize them."""
    if asked.pooling and task != "similarity":
        raise SettingsError(f"--pooling is {asked.pooling!r:.40}, but {task} pools nothing; leave it out")
    if task != "similarity":
        return {}
    length = {"normalize": found is not None and found.normalize}
    return length | ({"pooling": asked.pooling} if asked.pooling else {})


def _label_names(task: str, config: Mapping[str, Json], asked: Asked) -> dict[str, str]:
    """Names for the outputs, by their numbers."""
    if not asked.labels:
        return {}
    if task not in LABELLED:
        raise SettingsError(f"--labels names outputs, but {task} has none with a name; leave it out")
    count = head_outputs(config)
    if len(asked.labels) != count:
        raise SettingsError(f"--labels names {len(asked.labels)} outputs, but the head has {count}; name each")
    for at, name in enumerate(asked.labels):
        if not name.strip():
            raise SettingsError(f"--labels has no name for output {at}; name each")
        if name in asked.labels[:at]:
            raise SettingsError(
                f"--labels names outputs {asked.labels.index(name)} and {at} {name!r:.60}; give each a name of its own"
            )
    return by_number(asked.labels)


def _no_core(config: Mapping[str, Json], asked: Asked) -> str:
    """Why the bundle has no graph of the native core; "" if it has one."""
    family = FAMILIES.get(str(config.get("model_type")))
    if asked.precision != "int8":
        return f"which is INT8, and --precision is {asked.precision}"
    if family is None or not family.standard_layers:
        return f"it does not support the layers of {config.get('model_type')}"
    return FORMATS["core"].unusable()
