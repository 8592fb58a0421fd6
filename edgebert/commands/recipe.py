"""`edgebert recipe`: a commented recipe of a task, to fill in."""

from __future__ import annotations

import argparse
from importlib import resources

from edgebert.commands.output import table, write, write_json
from edgebert.errors import SettingsError
from edgebert.tasks.table import TASKS


def run(arguments: argparse.Namespace) -> int:
    """Write one task's recipe to stdout, or list the tasks."""
    if arguments.task is None:
        _list(arguments.json)
        return 0
    if arguments.task not in TASKS:
        raise SettingsError(f"no recipe for {arguments.task!r:.60}; the tasks are {', '.join(sorted(TASKS))}")
    text = recipe_text(arguments.task)
    if arguments.json:
        write_json({"task": arguments.task, "recipe": text})
    else:
        write(text.rstrip("\n"))
    return 0


def recipe_text(task: str) -> str:
    """The recipe that ships for a task."""
    return (resources.files("edgebert.recipes") / f"{task}.toml").read_text(encoding="utf-8")


def _list(as_json: bool) -> None:
    rows = [(task, _purpose(task)) for task in sorted(TASKS)]
    if as_json:
        write_json([{"task": task, "about": about} for task, about in rows])
        return
    write(table(("task", "what for"), rows))
    write("\nedgebert recipe TASK > my.toml writes one to fill in")


def _purpose(task: str) -> str:
    """What a recipe is for, from its first line."""
    return recipe_text(task).splitlines()[0].removeprefix("# ").partition(": copy this file")[0]
