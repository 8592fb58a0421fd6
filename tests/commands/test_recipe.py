"""`edgebert recipe`: prints the recipe of a task as a template."""

import json
from pathlib import Path

import pytest
from command_line import Run, refused

from edgebert.recipe import read_recipe
from edgebert.tasks.table import TASKS


def test_tasks_are_listed_with_what_they_are_for(run: Run) -> None:
    code, listed, _ = run("recipe")
    assert code == 0
    rows = dict(line.split(maxsplit=1) for line in listed.partition("\n\n")[0].splitlines()[2:])
    assert set(rows) == set(TASKS)
    assert all(len(about) > 10 for about in rows.values())
    assert {row["task"]: row["about"] for row in json.loads(run("recipe", "--json")[1])} == rows


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_recipe_is_whole_and_commented(task: str, run: Run, tmp_path: Path) -> None:
    code, text, err = run("recipe", task)
    assert (code, err) == (0, "")
    path = tmp_path / "my.toml"
    path.write_text(text)
    assert read_recipe(path).task == task
    assert text.count("#") > 20
    assert json.loads(run("recipe", task, "--json")[1])["recipe"] == text


def test_no_task_of_that_name(run: Run) -> None:
    message = refused(run("recipe", "sentiment"))
    assert "'sentiment'" in message
    assert "text-classification" in message
