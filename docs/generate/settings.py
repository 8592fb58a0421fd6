"""Reference pages: the command line's help, and a table for every key of recipes, profiles and suites."""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import re
import typing
from pathlib import Path
from typing import Any

from edgebert import cli
from edgebert.tasks.table import spec_of, task_names


def command_line() -> str:
    """Every command's help, as a terminal of 80 columns shows it."""
    parts = ["# Command line\n\n", block(cli._parser())]
    for name, parser in commands(cli._parser()).items():
        parts.append(f"## edgebert {name}\n\n{block(parser)}")
    return "".join(parts)


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name."""
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return dict(action.choices)


def block(parser: argparse.ArgumentParser) -> str:
    """A parser's help as a block of text."""
    parser.formatter_class = lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=78)
    return f"```text\n{parser.format_help().rstrip()}\n```\n\n"


def comments(folder: Path, files: str = "*.toml") -> dict[str, str]:
    """The comment on each dotted key in the TOML files of a folder; text-classification.toml's comes first."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob(files), key=lambda path: (path.stem != "text-classification", path.name)):
        found = file_comments(path) | found
    return found


def file_comments(path: Path) -> dict[str, str]:
    """The comment on each dotted key of a TOML file; one that goes on is indented, in the next line or behind it."""
    found: dict[str, str] = {}
    table = key = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if header := re.match(r"(?:# )?\[([a-z_.]+)\]\s*(?:#|$)", line):
            table = f"{header[1]}."
        # A key that is switched off stands behind "# ".
        code, mark, comment = re.sub(r"^# (?=[a-z_]+ = )", "", line).partition("#")
        entry = re.match(r"([a-z_]+)\s*=", code)
        if entry and mark and not comment.startswith("   "):
            key = table + entry[1]
            found[key] = comment.strip()
        elif key and mark and (entry or code.isspace()):
            found[key] += f" {comment.strip()}"
        elif not mark or not code.isspace():
            key = ""
    return found


def settings_page(title: str, settings: type, said: dict[str, str]) -> str:
    """A page of tables: one for a dataclass of settings and each of those inside it."""
    return f"# {title}\n\n" + "".join(tables(settings, "", said))


def heads(recipes: Path) -> str:
    """A table for the `[head]` of each task, with the comments of its recipe."""
    parts = ["## `[head]`, by task\n\n"]
    for task in task_names():
        said = comments(recipes, f"{task}.toml")
        table = tables(spec_of(task).settings, "head.", said)[0].split("\n\n", 1)[1]
        parts.append(f"### {task}\n\n{table}")
    return "".join(parts)


def tables(settings: Any, prefix: str, said: dict[str, str]) -> list[str]:  # noqa: ANN401
    """The table of a dataclass, and those of the dataclasses in its fields."""
    hints = typing.get_type_hints(settings)
    heading = f"## `[{prefix.rstrip('.')}]`" if prefix else "## Top level"
    rows, inner, stated = [], [], attributes(settings)
    for field in dataclasses.fields(settings):
        key = prefix + field.name
        nested = next((one for one in (hints[field.name], *typing.get_args(hints[field.name])) if is_table(one)), None)
        if nested is not None:
            inner += tables(nested, f"{key}.", said)
            continue
        cells = (
            f"`{field.name}`",
            kind(hints[field.name]),
            default(field),
            bounds(field),
            stated.get(field.name) or said.get(key, said.get(f"*.{field.name}", "")),
        )
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    about = inspect.cleandoc(settings.__doc__ or "").split("\n\nAttributes:")[0]
    text = f"{heading}\n\n{about}\n\n"
    if rows:
        text += "| key | type | default | from, to | comment |\n|---|---|---|---|---|\n" + "".join(rows) + "\n"
    return [text, *inner]


def attributes(settings: type) -> dict[str, str]:
    """What a dataclass's docstring says of its attributes."""
    section = inspect.cleandoc(settings.__doc__ or "").partition("\n\nAttributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def names(settings: Any, prefix: str = "") -> list[str]:  # noqa: ANN401
    """Every dotted key of a dataclass of settings."""
    hints, found = typing.get_type_hints(settings), []
    for field in dataclasses.fields(settings):
        found.append(prefix + field.name)
        for one in (hints[field.name], *typing.get_args(hints[field.name])):
            if is_table(one):
                found += names(one, f"{prefix}{field.name}.")
    return found


def is_table(hint: Any) -> bool:  # noqa: ANN401
    """Whether a type is a dataclass."""
    return dataclasses.is_dataclass(hint)


def kind(hint: Any) -> str:  # noqa: ANN401
    """A type in words."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return "one of " + ", ".join(f"`{toml_value(one)}`" for one in arguments)
    if typing.get_origin(hint) is tuple:
        return f"list of {kind(arguments[0])}"
    if typing.get_origin(hint) is dict:
        return "table"
    if arguments:
        return " or ".join(kind(one) for one in arguments if one is not type(None))
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(hint, str(hint))


def default(field: dataclasses.Field[Any]) -> str:
    """A field's default as TOML has it."""
    if field.default_factory is not dataclasses.MISSING:
        return f"`{toml_value(field.default_factory())}`"
    if field.default is dataclasses.MISSING:
        return "required"
    return "none" if field.default is None else f"`{toml_value(field.default)}`"


def bounds(field: dataclasses.Field[Any]) -> str:
    """The closed range of a field."""
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if low is None and high is None:
        return ""
    return f"{low} and above" if high is None else f"{low} to {high}"


def toml_value(value: Any) -> str:  # noqa: ANN401
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{}" if not value else str(value)
    return f'"{value}"' if isinstance(value, str) else str(value)
