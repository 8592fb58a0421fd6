"""Reference pages: the command line's help, and a table for every key of recipes, profiles and suites."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import inspect
import io
import re
import typing
from pathlib import Path
from typing import Any

from edgebert import cli


def command_line() -> str:
    """Every command's help, as a terminal of 100 columns shows it."""
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
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        parser.print_help()
    return f"```text\n{out.getvalue().rstrip()}\n```\n\n"


def comments(folder: Path) -> dict[str, str]:
    """The comment on each dotted key in the TOML files of a folder; text-classification.toml's comes first."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.toml"), key=lambda path: (path.stem != "text-classification", path.name)):
        table = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            if header := re.match(r"#?\s*\[([a-z_.]+)\]", line):
                table = f"{header[1]}."
            if entry := re.match(r"#?\s*([a-z_]+)\s*=\s*[^#]*#\s*(.+)", line):
                found.setdefault(table + entry[1], entry[2].strip())
    return found


def settings_page(title: str, settings: type, said: dict[str, str]) -> str:
    """A page of tables: one for a dataclass of settings and each of those inside it."""
    return f"# {title}\n\n" + "".join(tables(settings, "", said))


def tables(settings: Any, prefix: str, said: dict[str, str]) -> list[str]:  # noqa: ANN401
    """The table of a dataclass, and those of the dataclasses in its fields."""
    hints = typing.get_type_hints(settings)
    heading = f"## `[{prefix.rstrip('.')}]`" if prefix else "## Top level"
    rows, inner = [], []
    for field in dataclasses.fields(settings):
        key = prefix + field.name
        nested = next((one for one in (hints[field.name], *typing.get_args(hints[field.name])) if is_table(one)), None)
        if nested is not None:
            inner += tables(nested, f"{key}.", said)
            continue
        cells = (f"`{field.name}`", kind(hints[field.name]), default(field), bounds(field), said.get(key, ""))
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    text = f"{heading}\n\n{inspect.cleandoc(settings.__doc__ or '')}\n\n"
    if rows:
        text += "| key | type | default | from, to | comment |\n|---|---|---|---|---|\n" + "".join(rows) + "\n"
    return [text, *inner]


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
