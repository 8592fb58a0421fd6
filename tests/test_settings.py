"""TOML to frozen dataclasses: invalid values are refused with file, key, value and allowed values."""

import dataclasses
import os
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from edgebert.errors import SettingsError
from edgebert.measure.suite import Suite
from edgebert.recipe import Recipe
from edgebert.settings import fill, read_toml, required_within, within
from edgebert.target import Target
from edgebert.tasks.table import spec_of, task_names


@dataclass(frozen=True)
class Inner:
    rate: float = within(0.5, 0.0, 1.0)
    lengths: tuple[int, ...] = within((), 3, 512)
    kinds: tuple[Literal["a", "b"], ...] = ("a",)

    def __post_init__(self) -> None:
        if not self.kinds:
            raise ValueError("kinds is empty; name at least one of a, b")


@dataclass(frozen=True)
class Outer:
    name: str
    count: int = required_within(1)
    mode: Literal["fast", "plain"] = "fast"
    on: bool = False
    power: float | None = within(None)
    names: dict[str, str] = field(default_factory=dict)
    inner: Inner = field(default_factory=Inner)
    maybe: Inner | None = None


def filled(**table: Any) -> Outer:
    return fill(Outer, {"name": "x", "count": 1, **table}, "file.toml")


def refused(**table: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        filled(**table)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults_stand_where_the_table_is_silent() -> None:
    assert filled() == Outer("x", 1, "fast", False, None, {}, Inner(0.5, (), ("a",)), None)


def test_every_kind_of_field_takes_its_value() -> None:
    table = {"inner": {"rate": 1, "lengths": [3, 512], "kinds": ["b", "a"]}, "maybe": {}, "names": {"0": "no"}}
    outer = filled(mode="plain", on=True, power=2, **table)
    assert outer == Outer("x", 1, "plain", True, 2.0, {"0": "no"}, Inner(1.0, (3, 512), ("b", "a")), Inner())
    assert isinstance(outer.power, float)
    assert isinstance(outer.inner.rate, float)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"count": "1"}, "file.toml: 'count' is '1'; expected a int"),
        ({"count": True}, "file.toml: 'count' is True; expected a int"),
        ({"count": 1.0}, "file.toml: 'count' is 1.0; expected a int"),
        ({"on": 1}, "file.toml: 'on' is 1; expected a bool"),
        ({"name": 5}, "file.toml: 'name' is 5; expected a str"),
        ({"power": "5 W"}, "file.toml: 'power' is '5 W'; expected a float"),
        ({"power": False}, "file.toml: 'power' is False; expected a float"),
        ({"names": ["no"]}, "file.toml: 'names' is ['no']; expected a table"),
        ({"names": {"0": 1}}, "file.toml: 'names.0' is 1; expected a str"),
        ({"inner": 3}, "file.toml: 'inner' is 3; expected a table"),
        ({"inner": {"lengths": 8}}, "file.toml: 'inner.lengths' is 8; expected a list of int"),
        ({"inner": {"lengths": [8, "9"]}}, "file.toml: 'inner.lengths[1]' is '9'; expected a int"),
    ],
)
def test_a_wrong_type_is_told_with_key_value_and_type(table: dict[str, Any], message: str) -> None:
    assert refused(**table) == message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"count": 0}, "file.toml: 'count' is 0; expected a value at least 1"),
        ({"mode": "slow"}, "file.toml: 'mode' is 'slow'; expected one of 'fast', 'plain'"),
        ({"mode": ["fast"]}, "file.toml: 'mode' is ['fast']; expected one of 'fast', 'plain'"),
        ({"inner": {"rate": 1.5}}, "file.toml: 'inner.rate' is 1.5; expected a value between 0.0 and 1.0"),
        ({"inner": {"rate": -0.1}}, "file.toml: 'inner.rate' is -0.1; expected a value between 0.0 and 1.0"),
        ({"inner": {"rate": float("nan")}}, "file.toml: 'inner.rate' is nan; expected a value between 0.0 and 1.0"),
        ({"inner": {"rate": float("inf")}}, "file.toml: 'inner.rate' is inf; expected a value between 0.0 and 1.0"),
        ({"inner": {"kinds": ["a", "c"]}}, "file.toml: 'inner.kinds[1]' is 'c'; expected one of 'a', 'b'"),
        ({"maybe": {"kinds": []}}, "file.toml: maybe: kinds is empty; name at least one of a, b"),
    ],
)
def test_an_impossible_value_is_told_with_what_is_allowed(table: dict[str, Any], message: str) -> None:
    assert refused(**table) == message


def test_a_list_out_of_range_names_its_key_and_bounds() -> None:
    message = refused(inner={"lengths": [16, 1000]})
    assert "'inner.lengths'" in message
    assert "1000" in message
    assert "between 3 and 512" in message


def test_a_scalar_for_a_list_of_choices_names_the_choices() -> None:
    message = refused(inner={"kinds": "a"})
    assert message.startswith("file.toml: 'inner.kinds' is 'a'; expected a list of ")
    assert "'a', 'b'" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused_without_bounds_too(value: float) -> None:
    message = refused(power=value)
    assert f"'power' is {value}" in message
    assert "None" not in message


@pytest.mark.parametrize(
    ("table", "key", "allowed"),
    [
        ({"nmae": "x"}, "'nmae'", "count, inner, maybe, mode, name, names, on, power"),
        ({"inner": {"rte": 1.0}}, "'inner.rte'", "kinds, lengths, rate"),
        ({"maybe": {"": 1}}, "'maybe.'", "kinds, lengths, rate"),
    ],
)
def test_an_unknown_key_is_told_with_the_known_ones(table: dict[str, Any], key: str, allowed: str) -> None:
    assert refused(**table) == f"file.toml: unknown key {key}; allowed here: {allowed}"


@pytest.mark.parametrize(("table", "key"), [({"count": 1}, "'name'"), ({"name": "x"}, "'count'")])
def test_a_missing_key_is_told(table: dict[str, Any], key: str) -> None:
    with pytest.raises(SettingsError, match=f"^file.toml: key {key} is missing"):
        fill(Outer, table, "file.toml")


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"a = ", "not valid TOML"),
        (b"a = 1\na = 2\n", "not valid TOML"),
        (b"[t]\nx = 1\n[t]\n", "not valid TOML"),
        (b"a = '\xff'\n", "cannot be read"),
        (b"a = 1 #" + bytes([32]) * (1 << 20), "larger than 1 MB"),
        (b"a" + b".a" * 64 + b" = 1\n", "not valid TOML: a key of more than 64 parts"),
        (b"[a" + b' . "a"' * 64 + b"]\n", "not valid TOML: a key of more than 64 parts"),
        (b"a = " + b"[" * 3000 + b"]" * 3000, "not valid TOML: nested too deeply"),
        (b't = [{a = "x\\u0000"}]\n', "not valid TOML: a text holds the character U+0000"),
        (b"a = " + b"9" * 5000, "not valid TOML: a whole number of more than 4,300 digits"),
        (
            b"\xef\xbb\xbfa = 1\n",
            "not valid TOML: it begins with a byte-order mark (BOM); save it as UTF-8 without one",
        ),
        (b'"\\u0000" = 1\n', "not valid TOML: a text holds the character U+0000"),
    ],
)
def test_a_file_that_is_not_toml_is_told(content: bytes, fact: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(f"{path}: {fact}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no\.toml: no such file"):
        read_toml(tmp_path / "no.toml")
    with pytest.raises(
        SettingsError, match=r"cannot be read \(a folder, not a regular file\); give the path of a TOML file"
    ):
        read_toml(tmp_path)


@pytest.mark.parametrize("value", ["[" * 3000, "9" * 5000])
def test_what_the_toml_reader_itself_cannot_take_is_refused(value: str, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text(f"a = {value}\n")
    with pytest.raises(SettingsError, match="not valid TOML"):
        read_toml(tmp_path / "x.toml")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "suite.toml")
    with pytest.raises(SettingsError, match="not a regular file"):
        read_toml(tmp_path / "suite.toml")


def numbers(settings: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Every field with numbers, at any depth, with its bounds."""
    for one in dataclasses.fields(settings):
        hint = typing.get_type_hints(settings)[one.name]
        for kind in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(kind):
                yield from numbers(kind, f"{prefix}{one.name}.")
            elif kind in (int, float):
                yield f"{prefix}{one.name}", one.metadata


def test_every_number_of_a_file_has_both_bounds() -> None:
    tasks = [spec_of(task).settings for task in task_names()]
    found = [each for kind in (Suite, Recipe, Target, *tasks) for each in numbers(kind, f"{kind.__name__}.")]
    assert len(found) > 50
    assert [key for key, metadata in found if None in (metadata.get("low"), metadata.get("high"))] == []
