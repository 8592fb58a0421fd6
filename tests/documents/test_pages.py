"""Pages that repeat text from the code or are generated from recorded results."""

import ast
import re
from functools import cache
from xml.etree import ElementTree

import pytest
from documents.pages import ROOT

from docs.generate import chart, keys, pages, recorded, settings
from edgebert.compress.families import FAMILIES
from edgebert.measure.suite import Suite
from edgebert.recipe import Recipe
from edgebert.target import Target
from edgebert.tasks.table import task_names

TROUBLE = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
# The first cell of a row, where it quotes a message.
QUOTED = re.findall(r"^\| (`.+?) \| ", TROUBLE, re.MULTILINE)


@cache
def said() -> str:
    """Every string in the code, without the values inserted into it."""
    texts = []
    for path in sorted((ROOT / "edgebert").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append(
                    "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts).replace("`", "")


@pytest.mark.parametrize("cell", QUOTED)
def test_troubleshooting_quotes_what_the_code_says(cell: str) -> None:
    for quoted in re.findall(r"`([^`]+)`", cell):
        for part in re.split(r"\.\.\.|'\.\.\.'", quoted):
            found = part.strip(" '") in said()
            assert found, f"no message has {part!r}; quote what the code says now, or remove the row"


def test_every_recorded_run_has_a_page_of_its_task_and_its_machine() -> None:
    folders = {path.parent.name for path in recorded.RESULTS.glob("*/result.json")}
    assert {run.name for run in recorded.runs()} == folders
    for kind, names in (("tasks", recorded.TASKS), ("machines", recorded.MACHINES)):
        found = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs/results" / kind).glob("*.md")}
        assert found.keys() == set(names)
        assert all(f"<!-- made: {kind[:-1]} {name} -->" in text for name, text in found.items())


def test_tables_of_results_have_recomputed_intervals() -> None:
    tables = recorded.made("task text-classification")
    assert "### On Zen 4 EPYC" in tables
    assert "|  | bundle | natural | 0.96 | 8.92 (8.73 to 9.11) |" in tables
    assert "| `2026-11-23-sst2` | fp32 | accuracy | 0.8956 (0.8761 to 0.9151) | 872 |" in tables
    assert "bundle, cortex-a72 | 60 | 60 | 0.0061 |" in recorded.made("machine emulated-arm")
    assert "| EdgeBERT INT8 | 0.8429 | 3.73 | 18.57 |" in recorded.made("peers")


def test_the_chart_shows_what_was_recorded() -> None:
    (svg,) = ElementTree.fromstring(chart.chart())
    words = [text.text or "" for text in svg.iter("text")]
    assert "8.92 times, 99.4% kept" in words
    assert [word for word in words if word in chart.SHOWN.values()] == list(chart.SHOWN.values())


def test_the_index_of_findings_has_every_script() -> None:
    scripts = sorted(path.name for path in (ROOT / "findings").glob("*.sh"))
    rows = re.findall(r"^\| `(\S+)` \| .+ \| .*\d+\.\d+.* \|$", pages.findings(), re.MULTILINE)
    assert rows == scripts


def test_the_index_of_decisions_links_every_page() -> None:
    links = re.findall(r"\]\((\S+\.md)\) \| \S", pages.decisions())
    assert links == sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))


def test_models_and_recipe_pages_come_from_the_code() -> None:
    assert (
        "| MobileBERT | `mobilebert` | `token_type_ids` | fewer layers | no: transformers' own graph |"
        in pages.models()
    )
    assert all(f"`{family}`" in pages.models() and family in pages.NAMES for family in FAMILIES)
    assert "| byte-level BPE | RoBERTa, ModernBERT, DeBERTa (v1) | yes |" in pages.tokenizers()
    assert "| WordLevel | models trained for a fixed list of words | no: refused, with the kind's name |" in (
        pages.tokenizers()
    )
    page = settings.settings_page(
        "Recipe", Recipe, settings.comments(ROOT / "export", "text-classification.toml") | keys.RECIPE
    )
    assert "| `limit` | whole number | `0` |" in page
    assert "| `max_length` | whole number | `128` | 8 to 512 | tokens of one text, or of one window |" in page
    heads = settings.heads(ROOT / "export")
    assert "| `top_k` | whole number | `5` |" in heads
    assert all(f"### {task}\n" in heads for task in task_names())


@pytest.mark.parametrize(
    ("described", "said"),
    [(Recipe, keys.RECIPE), (Target, keys.PROFILE), (Suite, keys.SUITE)],
    ids=lambda one: str(one),
)
def test_no_key_is_described_that_does_not_exist(described: type, said: dict[str, str]) -> None:
    names = set(settings.names(described))
    ends = {name.rpartition(".")[2] for name in names}
    assert {key for key in said if not key.startswith("*.")} <= names
    assert {key.removeprefix("*.") for key in said if key.startswith("*.")} <= ends
