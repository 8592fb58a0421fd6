"""Reference pages made from the code and from files: supported models and tokenizers, findings, decisions."""

from __future__ import annotations

import re
from pathlib import Path

from edgebert.compress.families import FAMILIES, Family
from edgebert.compress.pieces import check_supported
from edgebert.errors import SettingsError

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\S+\.sh)` \| (.+) \|$", re.MULTILINE)
NAMES = {
    "bert": "BERT, MiniLM",
    "distilbert": "DistilBERT",
    "electra": "ELECTRA",
    "roberta": "RoBERTa",
    "xlm-roberta": "XLM-RoBERTa",
    "camembert": "CamemBERT",
    "mpnet": "MPNet",
    "mobilebert": "MobileBERT",
    "deberta-v2": "DeBERTa v2 and v3",
    "deberta": "DeBERTa (v1)",
    "albert": "ALBERT",
    "modernbert": "ModernBERT, Ettin's encoders, mmBERT, GTE-ModernBERT",
}
# Kinds of tokenizers that are read, the models that usually have them, and the least of a `tokenizer.json` of the kind.
TOKENIZERS: dict[str, tuple[str, dict[str, object]]] = {
    "WordPiece": ("BERT, MiniLM, DistilBERT, ELECTRA, MPNet, MobileBERT", {"model": {"type": "WordPiece"}}),
    "byte-level BPE": (
        "RoBERTa, ModernBERT, DeBERTa (v1)",
        {"model": {"type": "BPE"}, "pre_tokenizer": {"type": "ByteLevel"}},
    ),
    "Unigram (SentencePiece)": (
        "XLM-RoBERTa, CamemBERT, DeBERTa v2 and v3, ALBERT, multilingual MiniLM and E5",
        {"model": {"type": "Unigram"}},
    ),
    "BPE over characters, unknown ones in bytes": ("mmBERT", {"model": {"type": "BPE", "byte_fallback": True}}),
    "BPE over characters": ("a few SentencePiece models", {"model": {"type": "BPE"}}),
    "WordLevel": ("models trained for a fixed list of words", {"model": {"type": "WordLevel"}}),
}


def models() -> str:
    """A row for each family."""
    rows = [f"| {NAMES.get(name, name)} | `{name}` | {segments(family)} | {fewer(family)} | {pruned(family)} |"
            for name, family in FAMILIES.items()]  # fmt: skip
    head = "| family | `model_type` | second text | distillation | pruning, fast graph, native core, `smooth` |\n"
    return f"{head}|---|---|---|---|---|\n" + "\n".join(rows)


def tokenizers() -> str:
    """A row for each kind of tokenizer: where it is usual, and whether a vocabulary of it can be cut."""
    rows = [f"| {kind} | {usual} | {cut(document)} |" for kind, (usual, document) in TOKENIZERS.items()]
    return "| kind | usual for | `[vocabulary]` can cut it |\n|---|---|---|\n" + "\n".join(rows)


def cut(document: dict[str, object]) -> str:
    """Whether the tokenizer of a document can be cut."""
    try:
        check_supported(document)
    except SettingsError:
        return "no: refused, with the kind's name"
    return "yes"


def segments(family: Family) -> str:
    """How a family tells the two texts of a pair apart."""
    return "`token_type_ids`" if family.has_segments else "separators alone"


def fewer(family: Family) -> str:
    """What a student of a family may be smaller in."""
    return "fewer layers, or narrower (`hidden_size`)" if family.narrows else "fewer layers"


def pruned(family: Family) -> str:
    """Whether layers can be pruned and rewritten."""
    return "yes" if family.standard_layers else "no: transformers' own graph"


def findings() -> str:
    """The index of findings/, with the versions that each script's comment names."""
    text = (ROOT / "findings" / "README.md").read_text(encoding="utf-8")
    rows = [f"| `{name}` | {shows} | {versions(name)} |" for name, shows in ROW.findall(text)]
    return (
        text[: text.index("| script |")] + "| script | what it shows | seen with |\n|---|---|---|\n" + "\n".join(rows)
    )


def versions(name: str) -> str:
    """The versions in a script's comment."""
    script = (ROOT / "findings" / name).read_text(encoding="utf-8")
    comment = "\n".join(line for line in script.splitlines()[1:30] if line.startswith("#"))
    stated = re.search(r"^# Versions: *(.+)$", comment, re.MULTILINE)
    words = stated[1] if stated else comment.splitlines()[0].removeprefix("# ").split(":")[0]
    return words.split(";")[0].split(". ")[0].rstrip(".,")


def decisions() -> str:
    """The index of docs/decisions/: each page's title and first sentence."""
    rows = []
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title, _, decision = path.read_text(encoding="utf-8").split("\n## ")[0].strip().partition("\n\n")
        rows.append(f"| [{title.removeprefix('# ')}]({path.name}) | {' '.join(decision.split())} |")
    about = "What was decided where another choice was near, why, and what was measured.\n\n"
    return f"# Decisions\n\n{about}| page | decision |\n|---|---|\n" + "\n".join(rows) + "\n"
