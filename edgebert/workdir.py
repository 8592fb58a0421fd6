"""A content-addressed folder of finished stages: what was done is not done again, what was cut off goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgebert.bundle import disk_errors, folder_sha256
from edgebert.compress import distributed
from edgebert.compress.report import StageReport
from edgebert.compress.weight_files import weight_files

REPORT = "stage-report.json"
CHECKPOINTS = "checkpoints"
# What stands in the place of tokenizer.json in a folder that an older transformers saved.
OLDER_TOKENIZER = ["vocab.txt", "vocab.json", "merges.txt"]
# transformers builds the tokenizer by these too, but for how it came by it.
TOKENIZER_SETTINGS = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
NO_SETTINGS = ("is_local", "local_files_only", "name_or_path")


@dataclass(frozen=True)
class Done:
    """A finished stage: its folder, its report, and whether it had been done before."""

    title: str
    folder: Path
    report: StageReport
    cached: bool
    seconds: float


class Workdir:
    """Runs stages under a key of everything that their result depends on."""

    def __init__(self, root: Path) -> None:
        """Use (and, when a stage first runs, make) the folder `root`."""
        self.root = root

    def run(
        self,
        stage: str,
        version: int,
        inputs: dict[str, Any],
        action: Callable[[Path], StageReport],
        trains: bool = False,
        of: str = "",
    ) -> Done:
        """Do a stage, or take its result from an earlier run.

        The action writes into a `.partial` folder, which is renamed when it is whole; a training stage finds its
        checkpoints there again after a kill.

        Args:
            stage: The stage's name.
            version: The stage's code version, raised when its result would change.
            inputs: Everything else its result depends on, fit for JSON.
            action: Writes the result into the folder it is given.
            trains: Whether all processes of a distributed run take part; else the first works and the others wait.
            of: What the stage works on, for the summary.
        """
        key = hashlib.sha256(json.dumps([stage, version, inputs], sort_keys=True).encode()).hexdigest()
        folder = self.root / f"{stage}-{key[:16]}"
        distributed.wait()
        title = f"{stage} of {of}" if of else stage
        started = time.monotonic()
        cached = (folder / REPORT).is_file()
        if distributed.is_main():
            sys.stderr.write(f"{title}: {'done before, kept' if cached else 'running'}\n")
        distributed.wait()
        if not cached and (trains or distributed.is_main()):
            self._work(folder, action, trains)
        distributed.wait()
        report = StageReport(**json.loads((folder / REPORT).read_text(encoding="utf-8")))
        return Done(title, folder, report, cached, time.monotonic() - started)

    def _work(self, folder: Path, action: Callable[[Path], StageReport], trains: bool) -> None:
        partial = folder.with_name(folder.name + ".partial")
        with disk_errors(self.root):
            partial.mkdir(parents=True, exist_ok=True)
            report = action(partial)
            if trains:
                distributed.wait()
            if distributed.is_main():
                shutil.rmtree(partial / CHECKPOINTS, ignore_errors=True)
                text = json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"
                (partial / REPORT).write_text(text, encoding="utf-8")
                partial.rename(folder)


def model_hash(folder: Path) -> str:
    """Hash of a model folder's weights, config and tokenizer."""
    older = [] if (folder / "tokenizer.json").is_file() else OLDER_TOKENIZER
    settings = {name: _settings(folder / name) for name in TOKENIZER_SETTINGS if (folder / name).is_file()}
    weights = [path.name for path in weight_files(folder)]
    parts = [folder_sha256(folder, ["config.json", *weights, "tokenizer.json", *older]), settings]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _settings(path: Path) -> Any:  # noqa: ANN401
    found = json.loads(path.read_text(encoding="utf-8"))
    return {key: value for key, value in found.items() if key not in NO_SETTINGS} if isinstance(found, dict) else found
