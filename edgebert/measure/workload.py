"""The inputs that every variant of a bench answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgebert.bundle import check_files
from edgebert.data.examples import Example
from edgebert.data.fingerprint import fingerprint
from edgebert.data.named import Named
from edgebert.data.unknown import Unknown, gold
from edgebert.manifest import Manifest
from edgebert.measure.document import DataRow
from edgebert.measure.job import Input
from edgebert.runtime.contract import open_encoder
from edgebert.runtime.rows import read_texts, text_rows
from edgebert.tasks.table import device_task


@dataclass(frozen=True)
class Workload:
    """Inputs for all variants, their source, and their labels if known.

    `unknown` are labels that the bundle does not have; `named` are columns that the user named; `skipped` are the lines
    of rows that were left out because a cell is empty.
    """

    examples: list[Example]
    path: Path
    sha256: str
    inputs: list[Input]
    unknown: Unknown = field(default_factory=Unknown)
    named: Named = field(default_factory=Named)
    skipped: tuple[int, ...] = ()

    @property
    def source(self) -> str:
        """Name of the file."""
        return self.path.name

    def as_dict(self) -> DataRow:
        """What a result states about the data file."""
        row: DataRow = {"file": self.source, "sha256": self.sha256, "rows": len(self.examples)}
        if self.skipped:
            row["skipped_rows"] = len(self.skipped)
        if self.unknown.rows:
            row["unknown_labels"] = self.unknown.as_dict()
        return row


def read_workload(path: Path, manifest: Manifest, bundle: Path | None = None, named: Named | None = None) -> Workload:
    """Read the inputs of a data file, with labels if it has the label column of the bundle's data.

    If the bundle's folder is given, every text is encoded as well, so that a bad text is refused early.

    Raises:
        DataError: The file cannot be used, a text cannot be encoded, or only some rows have a label.
    """
    named = named or Named()
    encoder = None
    if bundle:
        check_files(bundle, manifest, hashes=False)
        encoder = open_encoder(bundle, manifest)
    task = device_task(manifest.task)(manifest.facts, encoder)
    examples = read_texts(path, manifest, named, task.find_tokens)
    unknown = Unknown()
    if any(example.label is not None for example in examples):
        _, unknown = gold(task, examples)
    for example in examples:
        if encoder:
            with example.told():
                task.encode(task.given(example))
    inputs = [_plain(task.given(example)) for example in examples]
    return Workload(examples, path, fingerprint(path), inputs, unknown, named, examples.skipped)


def read_inputs(path: Path, manifest: Manifest) -> list[Input]:
    """Read the inputs of a data file, and ignore its labels.

    Raises:
        DataError: The file cannot be used.
        InputError: It has pairs, and the bundle takes single texts.
    """
    task = device_task(manifest.task)(manifest.facts, None)
    return [_plain(task.given(row)) for row in text_rows(path, manifest)]


def _plain(given: object) -> Input:
    """Convert an input to JSON for the measured process; words become their text, as an application would pass it."""
    return given if isinstance(given, str | tuple) else str(given)
