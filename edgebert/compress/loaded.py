"""Cache of the tokenizers and unchanged models that one export reads, so each is read once."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from edgebert.bundle import file_sha256
from edgebert.compress import checkpoint
from edgebert.compress.encoder_settings import FILES as ENCODER_SETTINGS
from edgebert.compress.memory import LARGE, give_back
from edgebert.compress.weight_paths import weight_files
from edgebert.runtime.encode import TextEncoder

# Files that determine a folder's tokenizer.
TOKENIZER = (
    *("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", *ENCODER_SETTINGS),
)
# The teacher, and the model in work.
MODELS = 2


class Loaded:
    """Tokenizers by the contents of their files, and the most recently used models by their folders."""

    def __init__(self, with_settings: Path | None = None) -> None:
        """Start empty.

        Args:
            with_settings: The encoder's folder whose sentence-transformers settings apply.
        """
        self._encoders: dict[tuple[str, int], TextEncoder] = {}
        self._written: dict[str, Tokenizer] = {}
        self._tokenizers: dict[str, Any] = {}
        self._models: dict[tuple[Any, ...], Any] = {}
        self.with_settings = with_settings

    def encoder(self, path: Path, max_length: int) -> TextEncoder:
        """The device's encoder over a `tokenizer.json`."""
        key = (file_sha256(path), max_length)
        if key not in self._encoders:
            self._encoders[key] = TextEncoder(path, max_length)
        return self._encoders[key]

    def written(self, path: Path) -> Tokenizer:
        """A `tokenizer.json` that will be written again; the caller sets truncation and padding."""
        digest = file_sha256(path)
        if digest not in self._written:
            self._written[digest] = Tokenizer.from_file(str(path))
        return self._written[digest]

    def tokenizer(self, folder: Path) -> Any:  # noqa: ANN401
        """A checkpoint's tokenizer (`checkpoint.load_tokenizer`), which must not be changed."""
        with_settings = folder == self.with_settings
        digest = hashlib.sha256(f"{checkpoint.load_config(folder).model_type} {with_settings}".encode())
        for path in (folder / name for name in TOKENIZER):
            if path.is_file():
                digest.update(f"{path.name}\0{file_sha256(path)}\n".encode())
        key = digest.hexdigest()
        if key not in self._tokenizers:
            self._tokenizers[key] = checkpoint.load_tokenizer(folder, with_settings)
        return self._tokenizers[key]

    def model(self, folder: Path, task: str, labels: list[str]) -> Any:  # noqa: ANN401
        """A checkpoint's task model on the CPU, in evaluation mode. Do not change it: copy it first.

        The folder is loaded again if its weights have been rewritten.
        """
        files = [(path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in weight_files(folder)]
        key = (folder, task, *labels, *files)
        model = self._models.pop(key, None)
        if model is None:
            model = checkpoint.load_model(folder, task, labels)
        self._models[key] = model  # the last one used stands last
        while len(self._models) > MODELS:
            del self._models[next(iter(self._models))]
        return model.cpu().eval().requires_grad_(False)

    def forget_models(self) -> None:
        """Free large models, before work that needs as much memory as several; the next call loads one again."""
        size = sum(weight.nbytes for model in self._models.values() for weight in model.parameters())
        if size >= LARGE:
            self._models.clear()
            give_back(size)
