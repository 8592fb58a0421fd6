"""Find the weight files of a model folder: one safetensors file, or the shards that an index names. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from edgebert.compress.git_lfs import check_fetched
from edgebert.compress.json_file import SAVE, read_object
from edgebert.errors import CheckpointError
from edgebert.stage_names import STAGE_KEY

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# Maximum length of a file name on most file systems.
MAX_NAME = 255
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")
OTHERS = {"*.h5": "TensorFlow", "*.msgpack": "Flax", "*.gguf": "GGUF", "*.onnx": "ONNX", "*.ot": "Rust"}
# Pickle files that a Trainer saves beside weights.
BESIDE = ("training_args.bin", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "rng_state*.pth")
# Names that transformers saves with `variant`, for one file and for one of several.
VARIANT = re.compile(r"model\.(.+?)(?:-\d+-of-\d+)?\.safetensors")
SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")
# Parts of the names of weights that PEFT adds to a model's.
ADAPTED = {"base_layer", "modules_to_save", "original_module", "lora_A", "lora_B", "lora_magnitude_vector", "ia3_l"}
ADAPTED |= {"lora_embedding_A", "lora_embedding_B"}
# Suffixes of all weight names.
ENDINGS = tuple(pattern[1:] for pattern in ("*.safetensors", *PICKLED, *OTHERS))


def weight_files(folder: Path) -> list[Path]:
    """Files that hold a checkpoint's weights.

    Raises:
        CheckpointError: There are none, or only pickled ones, a variant or an adapter; or a file is a Git LFS pointer;
            or the index names a file that is missing or outside the folder.
    """
    adapter = next((path.name for path in sorted(folder.glob("adapter_*"))), None)
    if adapter:
        raise CheckpointError(
            f"{folder}: {adapter} is an adapter (PEFT), which a bundle cannot contain; load it onto its base model, "
            "merge it with merge_and_unload(), then save_pretrained(folder), or remove it if it is not used"
        )
    if (folder / SINGLE).is_file():
        check_fetched(folder / SINGLE)
        return [folder / SINGLE]
    if (folder / INDEX).is_file():
        return _shards(folder)
    _check_variant(folder)
    beside = {path for pattern in BESIDE for path in folder.glob(pattern)}
    pickled = sorted(path.name for pattern in PICKLED for path in folder.glob(pattern) if path not in beside)
    if pickled:
        raise CheckpointError(
            f"{folder}: weights only as pickle ({', '.join(pickled)}), which can run code when opened; "
            "to convert, load them with transformers if you trust the file, then model.save_pretrained(folder)"
        )
    other = next((path for pattern in OTHERS for path in sorted(folder.glob(pattern))), None)
    if other:
        raise CheckpointError(
            f"{folder}: no {SINGLE}; weights are in {other.name} ({OTHERS['*' + other.suffix]}), not read here: "
            "load the model with transformers for PyTorch, then save_pretrained(folder)"
        )
    inner = [path for path in folder.glob("checkpoint-*") if (path / SINGLE).is_file() or (path / INDEX).is_file()]
    if inner:
        last = max(inner, key=lambda path: (len(path.name), path.name))
        raise CheckpointError(f"{folder}: no {SINGLE}, but {last.name} has one; give {last}, or the one that you mean")
    raise CheckpointError(f"{folder}: {_instead(folder)}")


def _instead(folder: Path) -> str:
    """What a folder without weights is, and what to give in its place."""
    if not any(folder.iterdir()):
        return "an empty folder; give that of a checkpoint (save_pretrained writes one), or a recipe"
    if any(folder.glob(f"*/{STAGE_KEY}")):
        return "finished stages of an export (its --work); give the checkpoint or the recipe of that export"
    return f"no {SINGLE}; save the weights with save_pretrained"


def _check_variant(folder: Path) -> None:
    """Refuse weights with a file name that is not loaded."""
    found = next((path.name for path in sorted(folder.glob("*.safetensors"))), None)
    if found is None:
        return
    variant = VARIANT.fullmatch(found)
    if variant:
        remedy = f"load it with from_pretrained(folder, variant={variant[1]!r}), then save_pretrained(folder)"
        raise CheckpointError(f"{folder}: no {SINGLE}, but {found}, the variant {variant[1]!r:.40}; {remedy}")
    if SHARD.fullmatch(found):
        raise CheckpointError(f"{folder}: {found} without {INDEX}, which names the shards; copy the whole folder again")
    raise CheckpointError(f"{folder}: no {SINGLE}, but {found}; rename it to {SINGLE} if it holds the model")


def check_merged(folder: Path, names: Iterable[str]) -> None:
    """Refuse adapter weights that are not merged into the model: they would be ignored.

    Raises:
        CheckpointError: Names a weight.
    """
    found = next((name for name in names if not ADAPTED.isdisjoint(name.split("."))), None)
    if found:
        raise CheckpointError(
            f"{folder}: the weights hold {found}, of an adapter (PEFT) that is not merged into the model; load both "
            "with PEFT, then merge_and_unload() and save_pretrained(folder)"
        )


def _shards(folder: Path) -> list[Path]:
    path = folder / INDEX
    placed = read_object(path).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise CheckpointError(f"{path}: not an index of weights (no weight_map); {SAVE}")
    for name in placed.values():
        if not isinstance(name, str) or Path(name).name != name or not 0 < len(name) <= MAX_NAME or "\0" in name:
            raise CheckpointError(f"{path}: names the file {name!r:.60}; expected files of the same folder")
        if not (folder / name).is_file():
            raise CheckpointError(f"{folder}: {name} is missing, which {INDEX} names; copy the whole folder again")
        check_fetched(folder / name)
    return [folder / name for name in sorted(set(placed.values()))]


def weight_shapes(folder: Path) -> dict[str, list[int]]:
    """Shape of every weight by name, read without loading weights and without PyTorch.

    Raises:
        CheckpointError: A file is not a complete safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    shapes: dict[str, list[int]] = {}
    for path in weight_files(folder):
        try:
            with safe_open(path, framework="np") as opened:
                shapes |= {name: opened.get_slice(name).get_shape() for name in opened.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path}: not a complete safetensors file ({error}); copy it again") from None
    return shapes
