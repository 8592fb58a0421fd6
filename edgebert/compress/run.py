"""What all stages of one export share: task, metric, seed and token limit."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.compress.clock import Clock
from edgebert.compress.loaded import Loaded
from edgebert.runtime.encode import TextEncoder
from edgebert.strict_json import Json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Run:
    """One export's constants, a cache of the models it has read, and the time limit of its trainings."""

    task: str
    metric: str
    seed: int
    max_length: int
    loaded: Loaded = field(default_factory=Loaded, compare=False, repr=False)
    clock: Clock = field(default_factory=Clock, compare=False, repr=False)

    def facts(self) -> dict[str, Json]:
        """The constants that every stage's result depends on."""
        return {"task": self.task, "metric": self.metric, "seed": self.seed, "max_length": self.max_length}

    def encoder(self, tokenizer: PreTrainedTokenizerFast, folder: Path) -> TextEncoder:
        """The device's encoder with a checkpoint's tokenizer, which is written to `folder/tokenizer.json`."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "tokenizer.json"
        # All processes of a distributed training come here: each writes its own file and renames it when it is
        # complete.
        own = folder / f"tokenizer.json.{os.getpid()}"
        tokenizer.backend_tokenizer.save(str(own))
        os.replace(own, path)
        return self.loaded.encoder(path, self.max_length)
