"""Snippets in the documentation: Python runs and type-checks, commands parse, recipes and rows are valid."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from documents.pages import ROOT, Block, blocks
from fuzz.answering import make_model, wordpiece
from small_bundle import write_small_bundle

import edgebert
from edgebert import cli
from edgebert.recipe import read_recipe
from edgebert.runtime.model import Model

TASKS = {
    "reviews": "text-classification",
    "kinds": "multi-label",
    "scores": "regression",
    "ranker": "rerank",
    "entities": "token-classification",
    "demo": "intent-slots",
    "answers": "question-answering",
    "sentences": "similarity",
    "words": "fill-mask",
}
RESULT = ROOT / "bench" / "results" / "2026-11-23-sst2" / "result.json"
# A snippet of a recipe, where it leaves out what every recipe must have.
RECIPE = {"name": "a", "task": "text-classification", "model": {"source": "a"}}
RECIPE["data"] = {"train": "a.tsv", "validation": "b.tsv"}


def places(*languages: str) -> Any:
    return pytest.mark.parametrize("block", blocks(*languages), ids=lambda block: block.place)


@places("python")
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = wordpiece(tmp_path)

    def load(path: str, **_: Any) -> Model:
        task = TASKS[Path(path).name]
        return make_model(task, tokenizer, segments=1 + (task in ("regression", "rerank")), max_length=64)

    monkeypatch.setattr(edgebert, "load", load)
    monkeypatch.chdir(tmp_path)
    write_small_bundle(tmp_path / "build" / "reviews")
    (tmp_path / "build" / "my.bench").mkdir()
    shutil.copy(RESULT, tmp_path / "build" / "my.bench")
    (tmp_path / "texts.txt").write_text("one text\n\nanother\n")
    exec(compile(block.text, block.place, "exec"), {"__name__": "snippet"})


def test_python_has_right_types(tmp_path: Path) -> None:
    for number, block in enumerate(blocks("python")):
        (tmp_path / f"snippet_{number}.py").write_text(f"# {block.place}\n{block.text}")
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "mypy", "--strict", *config, *map(str, sorted(tmp_path.glob("*.py")))]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout


def test_every_block_is_of_a_kind_that_is_checked_or_shows_output() -> None:
    others = [block.place for block in blocks() if block.language not in ("", "python", "toml", "json", "text")]
    assert others == []


def commands(block: Block) -> list[str]:
    """The lines of a block of commands, with continued lines joined."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@places("")
def test_commands_parse_and_name_what_exists(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    for line in commands(block):
        words = shlex.split(re.sub(r"^S=.*|\$S\b| > \S+", "", line), comments=True)
        for name in ("edgebert", "edgebert.cli"):
            if name in words and words[0] in ("edgebert", "torchrun"):
                cli._arguments(words[words.index(name) + 1 :])
        if words[:1] == ["make"]:
            assert words[1] in targets(), f"{block.place}: make has no target {words[1]}"
        for word in words:
            if re.match(r"(export|bench|profiles|examples|findings)/[\w/.-]+$", word) and "DATE" not in word:
                assert (ROOT / word).exists(), f"{block.place}: {word} does not exist"
        if "-m" in words and (module := words[words.index("-m") + 1]).startswith(("bench.", "examples.")):
            assert (ROOT / f"{module.replace('.', '/')}.py").exists(), f"{block.place}: no module {module}"
    capsys.readouterr()


def targets() -> set[str]:
    lines = re.findall(r"^([a-z][a-z -]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return {name for line in lines for name in line.split()}


def laid_over(table: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {key: laid_over(table[key], value) for key, value in over.items() if isinstance(table.get(key), dict)}
    return {**table, **over, **both}


def toml_lines(table: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            lines += toml_lines(value, f"{prefix}{key}.")
        elif not isinstance(value, dict):
            lines.append(f"{prefix}{json.dumps(key)} = {json.dumps(value)}")
    return lines


@places("toml")
def test_recipes_are_valid(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text("\n".join(toml_lines(laid_over(RECIPE, tomllib.loads(block.text)))))
    read_recipe(path)


@places("json")
def test_rows_are_json_with_offsets_that_fit(block: Block) -> None:
    for line in block.text.splitlines():
        row = json.loads(line)
        for answer in row.get("answers", []):
            assert row["context"][answer["start"] :].startswith(answer["text"])
        for part in (*row.get("entities", []), *row.get("slots", [])):
            assert row["text"][part["start"] : part["end"]].strip() == row["text"][part["start"] : part["end"]] != ""
