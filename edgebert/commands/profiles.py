"""`edgebert profiles`: list the shipped hardware profiles, or show one completely."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from edgebert.commands.output import table, write, write_json
from edgebert.cpu import this_cpu
from edgebert.errors import SettingsError
from edgebert.target import Target, fitting_profile, profile_names, read_target


def run(arguments: argparse.Namespace) -> int:
    """List every profile, or show one with the source of each figure."""
    targets = [read_target(arguments.name)] if arguments.name else [read_target(name) for name in profile_names()]
    if arguments.json:
        here = this_machine()
        write_json([asdict(target) | {"fits_this_machine": target.name == here} for target in targets])
    elif arguments.name:
        _show(targets[0])
    else:
        here = this_machine()
        write(table(("profile", "machine", "weights", "hardware"), [_row(target, here) for target in targets]))
        if here:
            write(f"\n* fits this machine ({this_cpu()}): export uses it if neither recipe nor --profile names one")
    return 0


def this_machine() -> str | None:
    """Name of the profile that an export uses here by default, if there is one."""
    try:
        return fitting_profile(this_cpu())[0]
    except SettingsError:
        return None


def _row(target: Target, here: str | None) -> tuple[str, str, str, str]:
    return f"{target.name}{' *' * (target.name == here)}", target.machine, target.export.precision, target.summary


def _show(target: Target) -> None:
    write(f"{target.name}: {target.summary}\n")
    hardware = {key: value for key, value in asdict(target.hardware).items() if value is not None}
    rows = [(key, _plain(value), target.sources.get(key, "")) for key, value in hardware.items()]
    write(table(("hardware", "value", "source"), rows) + "\n")
    write(table(("export", "value"), [(key, _plain(value)) for key, value in asdict(target.export).items()]))
    for note in target.notes.values():
        write("\n" + note.strip())


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
