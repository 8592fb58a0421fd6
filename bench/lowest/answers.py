"""Open the bundles of exports.py and compare their answers with the recorded ones.

python bench/lowest/answers.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import edgebert

# The scores of the two labels differ by about 0.1 between texts, so a wrong graph exceeds this tolerance.
TOLERANCE = 1e-4


def main(folder: Path) -> int:
    """Compare every recorded answer. Returns 1 if one differs or if nothing was recorded."""
    recorded = sorted(folder.glob("*.json"))
    texts = [line.split("\t")[0] for line in (folder / "data" / "test.tsv").read_text().splitlines()[1:]]
    differ = [where for path in recorded for where in differences(path, texts)]
    print(f"answers: {len(recorded)} bundles, {', '.join(differ) or 'none'} differ", flush=True)
    return int(bool(differ) or not recorded)


def differences(recorded: Path, texts: list[str]) -> list[str]:
    """List the runtimes of one bundle whose answers differ from the recorded ones, or that fail."""
    found = []
    for runtime, expected in json.loads(recorded.read_text()).items():
        try:
            model = edgebert.load(recorded.with_suffix(""), runtime=runtime)
            scores = [list(model(text).scores.values()) for text in texts]
        except edgebert.EdgeBertError as error:
            print(f"{recorded.stem} {runtime}: {error}", flush=True)
            found.append(f"{recorded.stem} {runtime}")
            continue
        largest = float(np.abs(np.array(scores) - np.array(expected)).max())
        print(f"{recorded.stem} {runtime}: largest difference {largest:.1e}", flush=True)
        if not largest <= TOLERANCE:
            found.append(f"{recorded.stem} {runtime}")
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
