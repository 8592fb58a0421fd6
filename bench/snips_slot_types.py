"""Many labels from Snips: which kinds of slot a command has. Writes OUT/train.jsonl, valid.jsonl and test.jsonl.

    .venv/bin/python bench/snips_slot_types.py ../shared/data/snips build/snips-slot-types

Commands and slots are the data's own; the words that fill them are not marked. Read by export/snips-slot-types.toml.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgebert.data.slots import read_slots
from edgebert.data.tags import TagCheck, spans


def write_split(folder: Path, target: Path) -> None:
    """One JSON object a command: its text, and the kinds of its slots in order of the alphabet."""
    check = TagCheck(folder, "BIO", "refuse")
    rows = read_slots(folder, check, with_intents=False)
    check.finish()
    kinds = [sorted({span.label for span in spans(row.label)}) for row in rows]
    lines = [json.dumps({"text": row.text, "labels": labels}) for row, labels in zip(rows, kinds, strict=True)]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Read the arguments and write every split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snips", type=Path, help="holds train, valid and test, each with seq.in and seq.out")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        write_split(arguments.snips / split, arguments.out / f"{split}.jsonl")


if __name__ == "__main__":
    main()
