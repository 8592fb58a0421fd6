"""Keep finished stages in a folder, named by a hash of their inputs: reuse them, and resume interrupted ones."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from safetensors import SafetensorError

from edgebert.bundle import disk_errors, folder_sha256
from edgebert.compress import distributed
from edgebert.compress.conditions import differences
from edgebert.compress.json_file import read_object
from edgebert.compress.model_folder import TOKENIZER_SETTINGS
from edgebert.compress.report import StageReport
from edgebert.compress.weight_paths import weight_files
from edgebert.errors import DiskError, SettingsError
from edgebert.escape import shortened
from edgebert.places import CHECKPOINTS, check_checkpoints
from edgebert.seal import damage, seal
from edgebert.settings import fill
from edgebert.stage_names import STAGE_KEY
from edgebert.strict_json import Json, parse_json, read_json, table_of

LOG = logging.getLogger(__name__)

REPORT = "stage-report.json"
# What a source's hash holds besides its files, if its folder says that texts are lower-cased.
LOWER_CASED = "lower"
# Replaces tokenizer.json in the hash of a folder that an older transformers saved.
OLDER_TOKENIZER = ["vocab.txt", "vocab.json", "merges.txt"]
# Messages of other libraries about a full disk; PyTorch's does not mention it.
FULL = ("No space left on device", "Disk quota exceeded", "os error 28", "os error 122")
LEAST_FREE_BYTES = 1 << 20
# Settings of a tokenizer that only record its origin.
NO_SETTINGS = ("is_local", "local_files_only", "name_or_path")


@dataclass(frozen=True)
class Done:
    """A finished stage: its folder, its report, and whether an earlier run had done it."""

    title: str
    folder: Path
    report: StageReport
    cached: bool
    seconds: float


@dataclass(frozen=True)
class Key:
    """A stage, and everything that its result depends on.

    Attributes:
        stage: The stage's name.
        version: The stage's code version, raised when its result would change.
        inputs: Everything else that the result depends on, as JSON values.
        ran: Tools and machine properties (`compress.conditions`); also part of the report.
    """

    stage: str
    version: int
    inputs: Mapping[str, Json]
    ran: Mapping[str, Json]

    @property
    def document(self) -> dict[str, Json]:
        """Return the key as its file holds it."""
        return {"stage": [self.stage, self.version, self.inputs], "ran": self.ran}

    @property
    def text(self) -> str:
        """Return the string that is hashed."""
        return json.dumps(self.document, sort_keys=True)


@dataclass(frozen=True)
class KeyFile:
    """A key read from its file: stage name, code version, inputs and tools."""

    stage: tuple[Json, ...]
    ran: dict[str, Json]


class Workdir:
    """Run stages, and find their results again by everything that they depend on."""

    def __init__(self, root: Path) -> None:
        """Use the folder `root`, which is created when a stage first runs."""
        self.root = root

    def run(
        self,
        key: Key,
        action: Callable[[Path], StageReport],
        trains: bool = False,
        of: str = "",
    ) -> Done:
        """Run a stage, or return an earlier run's result.

        The action writes into an empty `.partial` folder, which is sealed and renamed when it is complete. After a
        kill, a training stage finds its checkpoints there. A finished stage with a damaged file is run again.

        Args:
            key: The stage, and everything that its result depends on.
            action: Writes the result into the folder it is given.
            trains: Whether all processes of a distributed run take part; otherwise the first works and the others wait.
            of: What the stage works on, for the summary.
        """
        folder = self.root / f"{key.stage}-{hashlib.sha256(key.text.encode()).hexdigest()[:16]}"
        distributed.wait()
        title = f"{key.stage} of {of}" if of else key.stage
        started = time.monotonic()
        cached = distributed.from_main(partial(self._is_done, folder, title, key))
        if not cached and (trains or distributed.is_main()):
            self._work(folder, action, trains, key)
        distributed.wait()
        report = _report(folder)
        for line in report.advice if distributed.is_main() else ():
            LOG.warning("%s: %s", title, line)
        return Done(title, folder, report, cached, time.monotonic() - started)

    def _is_done(self, folder: Path, title: str, key: Key) -> bool:
        """Whether a stage's folder is as an earlier run sealed it; remove it if not."""
        if not folder.is_dir():
            if not _unfinished(folder).is_dir():
                for line in self._unfit(key):
                    LOG.info("%s: %s", title, line)
            LOG.info("%s: running", title)
            return False
        with disk_errors(self.root, "--work"):
            wrong = damage(folder, [CHECKPOINTS]) or _report_damage(folder)
            if wrong:
                LOG.warning("%s: %s is not complete (%s); running the stage again", title, folder, wrong)
                shutil.rmtree(folder)
                return False
        # A run that was killed right after the stage may have left them.
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        LOG.info("%s: already done, reused", title)
        return True

    def _unfit(self, key: Key) -> Iterator[str]:
        """Explain why another result of this stage and these inputs is not reused: it ran with other tools."""
        now = fill(KeyFile, json.loads(key.text), STAGE_KEY)
        for path in sorted(self.root.glob(f"{key.stage}-*/{STAGE_KEY}")):
            with suppress(OSError, ValueError, SettingsError):
                found = fill(KeyFile, table_of(read_json(path)), STAGE_KEY)
                if found.stage == now.stage:
                    what = ", ".join(differences(found.ran, now.ran))
                    yield f"{path.parent.name} is not used, since it ran with {what}; starting again"

    def _work(self, folder: Path, action: Callable[[Path], StageReport], trains: bool, key: Key) -> None:
        unfinished = _unfinished(folder)
        with _stage_errors(self.root):
            if distributed.is_main():
                check_checkpoints(unfinished)
                _clear(unfinished, keep=[CHECKPOINTS] if trains else [])
                (unfinished / STAGE_KEY).write_text(
                    json.dumps(key.document, indent=1, sort_keys=True) + "\n", encoding="utf-8"
                )
            if trains:
                distributed.wait()
            report = replace(action(unfinished), ran=dict(key.ran))
            if trains:
                distributed.wait()
            if distributed.is_main():
                text = json.dumps(asdict(report), indent=2, ensure_ascii=False) + "\n"
                (unfinished / REPORT).write_text(text, encoding="utf-8")
                seal(unfinished, [CHECKPOINTS])
                unfinished.rename(folder)
                # Only now: if the run is killed while they are removed, it need not train again.
                shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)


@contextmanager
def _stage_errors(root: Path) -> Iterator[None]:
    """Raise a DiskError if a stage cannot write; safetensors and PyTorch raise errors of their own for this."""
    try:
        with disk_errors(root, "--work"):
            yield
    except (SafetensorError, RuntimeError) as error:
        if any(reason in str(error) for reason in FULL) or shutil.disk_usage(root).free < LEAST_FREE_BYTES:
            raise DiskError(f"{root}: no space left on the disk; free some or give another --work") from None
        raise


def _report(folder: Path) -> StageReport:
    """Read the report of a stage; figures of a broken model may be NaN."""
    text = (folder / REPORT).read_text(encoding="utf-8")
    return fill(StageReport, table_of(parse_json(text, finite=False)), REPORT)


def _report_damage(folder: Path) -> str | None:
    """Describe the damage of a sealed report; None if it can be read."""
    try:
        _report(folder)
    except (OSError, ValueError, SettingsError) as error:
        return f"{REPORT} is damaged: {shortened(str(error).removeprefix(f'{REPORT}: '))}"
    return None


def _unfinished(folder: Path) -> Path:
    """Location where a stage is written until it is complete."""
    return folder.with_name(folder.name + ".partial")


def _clear(folder: Path, keep: Collection[str]) -> None:
    """Make a folder, and remove what a killed run left in it, except the names to keep."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def model_hash(folder: Path) -> str:
    """Hash of a model folder's weights, config and tokenizer."""
    older = [] if (folder / "tokenizer.json").is_file() else OLDER_TOKENIZER
    settings = {name: _settings(folder / name) for name in TOKENIZER_SETTINGS if (folder / name).is_file()}
    weights = [path.name for path in weight_files(folder)]
    parts = [folder_sha256(folder, ["config.json", *weights, "tokenizer.json", *older]), settings]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def source_hash(folder: Path, added: str) -> str:
    """Hash of a checkpoint's folder, and of what is added to it; without that, `model_hash`."""
    encoder = model_hash(folder)
    return hashlib.sha256((encoder + added).encode()).hexdigest() if added else encoder


def noted(done: Done, metrics: Mapping[str, Json]) -> Done:
    """A finished stage with more metrics in its report."""
    return replace(done, report=replace(done.report, metrics={**done.report.metrics, **metrics}))


def _settings(path: Path) -> Json:
    return {key: value for key, value in read_object(path).items() if key not in NO_SETTINGS}
