"""Print figures about the code, to compare them between changes. The script enforces no limits.

    .venv/bin/python bench/house.py            # one line per figure
    .venv/bin/python bench/house.py --json     # one JSON object
    .venv/bin/python bench/house.py --list     # also the locations in the code

Lines with `Any`, `# noqa: ANN401` exemptions, functions with more than six parameters (as ruff's PLR0913 counts them),
imports that break a contract of pyproject.toml, and the longest file.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "edgebert"
MAX_PARAMETERS = 6


@dataclass(frozen=True)
class Figure:
    """A figure, and the locations that it counts."""

    name: str
    value: int
    places: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--list", action="store_true", help="the places too")
    options = parser.parse_args(arguments)
    found = figures(PACKAGE)
    if options.json:
        print(json.dumps({figure.name: figure.value for figure in found}, indent=2))
        return 0
    for figure in found:
        print(f"{figure.value:>6}  {figure.name}")
        for place in figure.places if options.list else ():
            print(f"        {place}")
    return 0


def figures(package: Path) -> list[Figure]:
    """Compute every figure of a package."""
    files = {path: path.read_text(encoding="utf-8") for path in sorted(package.rglob("*.py"))}
    lengths = {path: text.count("\n") for path, text in files.items()}
    longest = max(lengths, key=lambda path: lengths[path])
    wide = [place for path, text in files.items() for place in wide_functions(path, text)]
    upwards = broken_contracts()
    return [
        Figure("lines with Any", *_by_room(files, r"\bAny\b", package)),
        Figure("exemptions from ANN401", *_by_room(files, r"noqa: ANN401", package)),
        Figure(f"functions with more than {MAX_PARAMETERS} parameters", len(wide), wide),
        Figure("rooms that import upwards", len(upwards), upwards),
        Figure("lines of the longest file", lengths[longest], [str(longest.relative_to(package.parent))]),
    ]


def wide_functions(path: Path, text: str) -> Iterator[str]:
    """Find functions with too many parameters. `self` and `cls` do not count."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
            count = len([name for name in named if name not in ("self", "cls")])
            if count > MAX_PARAMETERS:
                yield f"{path.relative_to(PACKAGE.parent)}:{node.lineno} {node.name} ({count})"


def broken_contracts() -> list[str]:
    """Find imports that break a contract, as import-linter prints them."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports; exit(lint_imports(no_cache=True))"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode and "broken" not in answer.stdout:
        sys.exit(f"house: import-linter cannot run: {answer.stderr.strip()[-300:]}")
    return list(dict.fromkeys(re.findall(r"^\s*-\s+(\S+ -> \S+.*)$", answer.stdout, re.MULTILINE)))


def _by_room(files: dict[Path, str], pattern: str, package: Path) -> tuple[int, list[str]]:
    """Count the matching lines, in total and per subpackage."""
    rooms = Counter(
        path.relative_to(package).parts[0]
        for path, text in files.items()
        for line in text.splitlines()
        if re.search(pattern, line)
    )
    return rooms.total(), [f"{room}: {count}" for room, count in rooms.most_common()]


if __name__ == "__main__":
    sys.exit(main())
