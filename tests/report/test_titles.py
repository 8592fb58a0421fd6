"""What the title of a ratio compares."""

import re
import time

import pytest

from edgebert.report.titles import Compared, compared

# What a title is, as a pattern; it takes quadratic time.
FORM = re.compile(r"(?:(?P<about>.*): )?(?P<first>.+?) / (?P<second>.+)")
TITLES = ["a / b", "p50, natural lengths: fp32 / bundle", "x: y: a / b / c", "x: a / b: c", ": / / : ", " / b", "a / "]
TITLES += [": a / b", "a:  / b", "a / b: c / d", "x: a", "", ": ", " / ", " /  / ", "a\nb / c", " /  /  / : a /  : / b"]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_is_read_as_its_pattern_says(title: str) -> None:
    found = FORM.fullmatch(title)
    expected = Compared(found["about"] or "", found["first"], found["second"]) if found else None
    assert compared(title) == expected


@pytest.mark.parametrize("part", [": ", " / ", ": a", " / : "])
def test_a_long_title_is_read_in_one_go(part: str) -> None:
    begin = time.monotonic()
    compared(part * 1_000_000)
    assert time.monotonic() - begin < 2
