"""Damaged recipes, profiles and suites are refused in one line, or are usable."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fuzz.damage import Damaged, damaged_bytes
from fuzz.tally import TALLY, assert_line, examples
from hypothesis import given
from hypothesis import strategies as st

from edgebert.errors import SettingsError
from edgebert.measure.suite import read_suite
from edgebert.precision import quantization
from edgebert.recipe import read_recipe
from edgebert.target import read_target

ROOT = Path(__file__).parent.parent.parent
VALUES = [
    "0", "-1", "1", "0.5", "nan", "-inf", "1e400", "9" * 60, "9" * 5000, "true", '""', '"x"', '"\\u0000"',
    '"a\\nb"', "''", "[]", "[[]]", "[1, 2, 0]", '["x"]', "[[[1]]]", "{}", "{ x = 1 }", "{ a = { b = 1 } }",
    "1979-05-27", "07:32:00", "[" * 3000, "0x7f", "999999999999999999999", "-0.0", '"../x"', '"/etc/hostname"',
    '"text-classification"', '"fp16"', '"static"',
]  # fmt: skip
# A value after its key.
VALUE = re.compile(r"(?m)(?<== )[^\n#]+")


def profile_then_recipe(path: Path) -> None:
    recipe = read_recipe(path)
    quantization(recipe, read_target("x86-avx2"))


READERS: dict[str, Callable[[Path], Any]] = {
    "export/text-classification.toml": profile_then_recipe,
    "export/question-answering.toml": profile_then_recipe,
    "profiles/nvidia-t4.toml": lambda path: read_target(str(path)),
    "bench/suites/full.toml": read_suite,
}


@st.composite
def other_values(draw: st.DrawFn, text: str) -> Damaged:
    """The text with other values after some of its keys, including keys in comments."""
    text = re.sub(r"(?m)^# (?=\S+ = |\[)", "", text)
    for _ in range(draw(st.integers(1, 3))):
        found = draw(st.sampled_from(list(VALUE.finditer(text))))
        text = text[: found.start()] + draw(st.sampled_from(VALUES)) + text[found.end() :]
    return Damaged(text.encode())


@pytest.mark.parametrize("name", READERS)
def test_damaged_settings(name: str, scratch: Path) -> None:
    content = (ROOT / name).read_bytes()
    path = scratch / Path(name).name
    path.write_bytes(content)
    READERS[name](path)

    @examples(brief=30, long=500)
    @given(st.one_of(other_values(content.decode()), other_values(content.decode()), damaged_bytes(content)))
    def is_refused_or_read(damaged: bytes) -> None:
        path.write_bytes(damaged)
        try:
            READERS[name](path)
            TALLY.add("damaged recipes, profiles and suites", "read")
        except SettingsError as error:
            assert_line(error, str(path))
            TALLY.add("damaged recipes, profiles and suites", "refused")

    is_refused_or_read()
