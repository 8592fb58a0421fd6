"""Recipes for the tests: the common recipe with all stages, and changes to it."""

import json
from collections.abc import Mapping
from typing import Any

Table = Mapping[str, Any]

# Every stage, for the tiny checkpoint of conftest.py.
CHAIN: dict[str, Table] = {
    "head": {},
    "finetune": {"epochs": 4.0, "learning_rate": 2e-3, "batch_size": 8},
    "distill": {"layers": [0, 2], "epochs": 3.0, "learning_rate": 2e-3, "batch_size": 8},
    "prune": {
        "ffn_multiple": 8,
        "samples": 64,
        "recover": {"epochs": 2.0, "learning_rate": 1e-3, "batch_size": 8},
    },
    "quantize": {"samples": 32},
}


def splits(ending: str, **more: Any) -> Table:
    """Data files as most tests write them, and further keys of `[data]`."""
    return {**{name: f"{name}.{ending}" for name in ("train", "validation", "test")}, **more}


def whole_chain(name: str, task: str, data: Table, **tables: Table) -> str:
    """A recipe with every stage; `tables` change or extend `CHAIN`. CHECKPOINT is replaced by the source."""
    return recipe(name, task, data, **_merged(CHAIN, tables))


def recipe(name: str, task: str, data: Table, **tables: Table) -> str:
    """A recipe with these tables as TOML. CHECKPOINT is replaced by the source."""
    written = {"model": {"source": "CHECKPOINT"}, "data": data, **tables}
    return f'name = "{name}"\ntask = "{task}"\n' + "".join(_table(key, table) for key, table in written.items())


def _merged(first: Table, second: Table) -> dict[str, Any]:
    found = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _merged(found[key], value) if both else value
    return found


def _table(name: str, table: Table) -> str:
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in table.items() if not isinstance(value, Mapping)]
    inner = [_table(f"{name}.{key}", value) for key, value in table.items() if isinstance(value, Mapping)]
    return "".join([f"[{name}]\n", *lines, *inner])
