"""The pages of the documentation, and their fenced blocks."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the number of its first line, its language and its text."""

    page: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """Every block in one of the languages, or every block if none is named; "" is a block of commands."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            indent, language, inside = fence.groups()
            inside = re.sub(rf"^{indent}", "", inside, flags=re.MULTILINE)
            line = text.count("\n", 0, fence.start()) + 2
            found.append(Block(path.relative_to(ROOT).as_posix(), line, language, inside))
    return [block for block in found if block.language in languages or not languages]
