"""Find, check, load and save model folders in Hugging Face's layout, pruned shapes included."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch
import transformers
from safetensors.torch import save_file

from edgebert.compress import arch, distributed, low_rank, vector_modules
from edgebert.compress.autocast import keep_attention_in_fp32
from edgebert.compress.config_entries import PROBLEMS
from edgebert.compress.config_shapes import check_shapes
from edgebert.compress.families import CLASSIFIER_WEIGHTS
from edgebert.compress.json_file import first_class, read_object
from edgebert.compress.label_names import label_names
from edgebert.compress.model_folder import check_described
from edgebert.compress.report import StageReport
from edgebert.compress.source import first_line
from edgebert.compress.source import resolve as resolve
from edgebert.compress.tokenizer_file import load_tokenizer as load_tokenizer
from edgebert.compress.weight_files import check_weights, load_weights
from edgebert.compress.weight_paths import weight_shapes
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json
from edgebert.tasks.training_table import training_task

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

    from edgebert.tasks.training import ModelClass

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

# Eager attention trains a fifth faster than SDPA on short texts (CPU), and exports without NaN guards.
ATTENTION = "eager"
# Outputs as named rows, without other outputs; all rows at once; attention that needs no extra package.
RETURNED: dict[str, Json] = {"return_dict": True, "output_hidden_states": False, "output_attentions": False}
RETURNED |= {"chunk_size_feed_forward": 0, "_attn_implementation": ATTENTION}
# Suffixes of the names of classes with a head over a whole text.
OF_TEXTS = "ForSequenceClassification"
# Suffixes of classes with a head over the tokens of answers, which has no labels.
OF_ANSWERS = "ForQuestionAnswering"
VERSION = 3
# Errors that torch and transformers raise for impossible config entries.
UNBUILDABLE = (
    *(RuntimeError, LookupError, ValueError, TypeError, AttributeError),
    *(ArithmeticError, AssertionError, MemoryError, OSError),
)


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not a complete, safe and supported checkpoint.

    Raises:
        CheckpointError: The config, tokenizer or safetensors weights are missing or contradict each other, or the model
            is not supported.
    """
    check_described(folder)
    check_weights(folder)
    path = folder / "config.json"
    check_shapes(path, read_object(path), weight_shapes(folder))


def head_labels(folder: Path) -> list[str] | None:
    """Labels of a checkpoint's classification head, in order; None if it has none.

    Raises:
        CheckpointError: The config's names of the outputs cannot be used.
    """
    config = read_object(folder / "config.json")
    if first_class(config).endswith(OF_ANSWERS):
        return None
    shapes = weight_shapes(folder)
    head = next((name for name in CLASSIFIER_WEIGHTS if name in shapes), None)
    return None if head is None else label_names(config, shapes[head][0], str(folder / "config.json"))


def has_head(folder: Path, task: str, labels: list[str], entries: Mapping[str, Json] = MappingProxyType({})) -> bool:
    """Whether a checkpoint has the task's head for these labels: weights, shapes and kind of problem."""
    return not lack_of_head(folder, task, labels, entries)


def lack_of_head(folder: Path, task: str, labels: list[str], entries: Mapping[str, Json] = MappingProxyType({})) -> str:
    """Say what a checkpoint's head lacks for the task and these labels; empty if nothing.

    The head includes the pooler, if the task's model has one: with a random pooler its answers would be random.
    `entries` are config entries besides the labels that define the head. If the checkpoint states them, they must be
    equal.
    """
    stated = read_object(folder / "config.json")
    config, model_class = _for_task(folder, task, labels, entries)
    problem = stated.get("problem_type")
    # Classes for other inputs than whole texts ignore the entry; in some families, heads for tokens have the same
    # weights.
    is_ignored = config.problem_type is None and first_class(stated) and not first_class(stated).endswith(OF_TEXTS)
    if problem not in (None, config.problem_type) and not is_ignored:
        return f"config.json has problem_type {problem!r}, that of task {PROBLEMS[str(problem)]!r}, not {task!r}"
    for name, value in entries.items():
        if stated.get(name, value) != value:
            return f"config.json has {name} {stated[name]!r:.60}, but the task has {value!r:.60}"
    with _built_from(folder), torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_class.from_config(config)
    named, own = first_class(stated), type(model).__name__
    if arch.family_of(config).heads_alike and "For" in named and named != own:
        return f"architectures names {named}, whose head has the same weights as that of {own}"
    pooler = getattr(model.base_model, "pooler", None)
    read = {id(weight) for weight in pooler.parameters()} if pooler is not None else set()
    encoder = {id(weight) for weight in model.base_model.parameters()} - read
    head = {name: weight for name, weight in model.named_parameters() if id(weight) not in encoder}
    # Checkpoints that came from TensorFlow have the older names of a LayerNorm's weights.
    there = {
        name.replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias"): shape
        for name, shape in weight_shapes(folder).items()
    }
    for name, weight in head.items():
        # The pooler belongs to the encoder, but its name may lack the encoder's prefix.
        shape = there.get(name, there.get(name.removeprefix(f"{model.base_model_prefix}.")))
        if shape is None:
            return f"the weights lack {name}{_other_form(there)}"
        if shape != [*weight.shape]:
            return f"{name} has the shape {shape}, but {[*weight.shape]} is needed"
    return ""


def _other_form(names: Iterable[str]) -> str:
    """Say what to do about a DeBERTa masked-language head that is not in transformers' legacy form."""
    found = any(name.startswith("lm_predictions.") for name in names)
    return ', but have lm_predictions: set "legacy": false in config.json for fill-mask' if found else ""


def load_config(folder: Path) -> PreTrainedConfig:
    """Load the checkpoint's config, with transformers' names for its entries.

    Entries that change what a forward pass returns, or how it computes its result, are reset to their defaults.

    Raises:
        CheckpointError: transformers cannot read it.
    """
    try:
        config = transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
    except Exception as error:  # noqa: BLE001 - transformers raises what it likes here
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{folder / 'config.json'}: transformers cannot read it ({reason}); correct the entry"
        ) from None
    for name, value in RETURNED.items():
        setattr(config, name, value)
    return config


def load_model(
    folder: Path, task: str, labels: list[str], seed: int = 0, entries: Mapping[str, Json] = MappingProxyType({})
) -> Any:  # noqa: ANN401
    """Load the task model with float32 weights; a missing head is initialised from the seed.

    `entries` are added to the config; a folder that was saved with them has them already.

    Raises:
        CheckpointError: The weights do not fit the config.
    """
    config, model_class = _for_task(folder, task, labels, entries)
    torch.manual_seed(seed)
    with _built_from(folder):
        if not _is_noted(config):
            model = _from_pretrained(folder, config, model_class)
        else:
            model = _drawn(config, model_class)
            _load_resized(folder, model)
    arch.ignore_segments(model)
    arch.blank_padding(model)
    keep_attention_in_fp32(model)
    return model


def new_model(config: PreTrainedConfig, task: str) -> PreTrainedModel:
    """Make a task model with the shapes of its config; its weights will be replaced."""
    return _drawn(config, training_task(task).model_class(config))


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights, config and tokenizer as a Hugging Face folder; of several processes only the first writes."""
    if not distributed.is_main():
        return
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    save_file(_weights(model), folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)


def take_over(
    source: Path,
    task: str,
    labels: list[str],
    out: Path,
    modules: vector_modules.VectorModules | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
) -> StageReport:
    """Rewrite the user's checkpoint in the form that every stage leaves: one weight file, `tokenizer.json`, labels.

    `modules` become part of the model. `tokenizer` is the checkpoint's, if it is already loaded.
    """
    model = load_model(source, task, labels)
    if modules is not None:
        vector_modules.attach(model, modules)
    save_model(model, load_tokenizer(source) if tokenizer is None else tokenizer, out)
    return StageReport("take-over", {})


@contextlib.contextmanager
def _built_from(folder: Path) -> Iterator[None]:
    """Raise errors of torch and transformers while they build the model as errors of the checkpoint."""
    try:
        yield
    except UNBUILDABLE as error:
        raise CheckpointError(f"{folder}: weights do not fit config.json ({first_line(error)})") from None


def _is_noted(config: PreTrainedConfig) -> bool:
    """Whether a model's config lists parts or shapes that transformers does not know."""
    return any(
        found is not None
        for found in (arch.noted_shapes(config), low_rank.noted_rank(config), vector_modules.noted(config))
    )


def _for_task(
    folder: Path, task: str, labels: list[str], entries: Mapping[str, Json]
) -> tuple[PreTrainedConfig, ModelClass]:
    """Return a checkpoint's config with the labels, and the class that loads it."""
    config = load_config(folder)
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    for name, value in entries.items():
        setattr(config, name, value)
    return config, training_task(task).model_class(config)


def _drawn(config: PreTrainedConfig, model_class: ModelClass) -> PreTrainedModel:
    shapes, rank = arch.noted_shapes(config), low_rank.noted_rank(config)
    model = model_class.from_config(config, dtype=torch.float32, attn_implementation=ATTENTION)
    if shapes is not None:
        arch.resize_layers(model, shapes)
    if rank is not None:
        low_rank.resize_table(model, rank)
    modules = vector_modules.noted(config)
    if modules is not None:
        vector_modules.attach(model, modules)
    return model


def _from_pretrained(folder: Path, config: PreTrainedConfig, model_class: ModelClass) -> PreTrainedModel:
    model, loading = model_class.from_pretrained(
        str(folder),
        config=config,
        dtype=torch.float32,
        attn_implementation=ATTENTION,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
        output_loading_info=True,
    )
    _require_encoder(folder, model, {*loading["missing_keys"], *(name for name, *_ in loading["mismatched_keys"])})
    return model


def _load_resized(folder: Path, model: PreTrainedModel) -> None:
    """Load weights with other shapes, with or without the base model's prefix; skip another task's head."""
    own, prefix = model.state_dict(), f"{model.base_model_prefix}."
    state: dict[str, torch.Tensor] = {}
    for name, tensor in load_weights(folder):
        fitting = [known for known in (name, prefix + name, name.removeprefix(prefix)) if known in own]
        if fitting and tensor.shape == own[fitting[0]].shape:
            state[fitting[0]] = tensor
    drawn = set(model.load_state_dict(state, strict=False).missing_keys)
    _require_encoder(folder, model, drawn)


def _require_encoder(folder: Path, model: PreTrainedModel, drawn: set[str]) -> None:
    """Check that only the head, and the pooler before it, is initialised from the seed."""
    base = "" if model.base_model is model else f"{model.base_model_prefix}."
    lost = sorted(name for name in drawn if name.startswith(base) and not name.startswith(f"{base}pooler."))
    if lost:
        others = f", nor {len(lost) - 1} others of the encoder" if len(lost) > 1 else ""
        raise CheckpointError(
            f"{folder}: the weights have no {lost[0]} of the shape in config.json{others}; save config and "
            "weights together with save_pretrained"
        )


def _weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Return floating-point weights by name, each once: a tied weight under its encoder name, else its first name.

    XLM-RoBERTa and CamemBERT have the decoder before the encoder.
    """
    state: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    prefix = f"{model.base_model_prefix}."
    for name, tensor in sorted(model.state_dict().items(), key=lambda item: not item[0].startswith(prefix)):
        if tensor.dtype.is_floating_point and tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            state[name] = tensor.detach().cpu().contiguous()
    return state
