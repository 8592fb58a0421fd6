"""Make a multi-label data set from Snips: the slot types in each command. Writes OUT/{train,valid,test}.jsonl.

    .venv/bin/python bench/snips_slot_types.py ../shared/data/snips build/snips-slot-types

The labels of a command are the types of its slots; the positions of the slots are not kept. The recipe
export/snips-slot-types.toml reads these files.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edgebert.data.slots import read_slots
from edgebert.data.tags import TagCheck, spans


def write_split(folder: Path, target: Path) -> None:
    """Make one JSON object per command: its text, and its slot types in alphabetical order."""
    check = TagCheck(folder, "BIO", "refuse")
    rows = read_slots(folder, check, with_intents=False)
    check.finish()
    kinds = [sorted({span.label for span in spans(row.label)}) for row in rows]
    lines = [json.dumps({"text": row.text, "labels": labels}) for row, labels in zip(rows, kinds, strict=True)]
    target.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Parse the arguments and write every split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("snips", type=Path, help="holds train, valid and test, each with seq.in and seq.out")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        write_split(arguments.snips / split, arguments.out / f"{split}.jsonl")


if __name__ == "__main__":
    main()
