"""Figures in a readable form."""

import pytest

from edgebert.report.numbers import between, number, plain, scaled, share, short, shortened, times


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((1.323, "1.32"), (13.04, "13.0"), (390.2, "390"), (9.999, "10.0"), (0.01234, "0.0123"), (0, "0")),
        *((1040.85, "1,041"), (999.7, "1,000"), (-0.25, "-0.250"), (1, "1.00"), (250_000_000, "250,000,000")),
    ],
)
def test_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert short(value) == text


def test_units() -> None:
    assert (times(6.7407), share(0.4), between(6.113, 7.368)) == ("6.74×", "40.0%", "6.11–7.37")
    assert [scaled(value, "MAC") for value in (250_000_000, 1.18e9, 12, 2.5e12)] == [
        *("250 MMAC", "1.18 GMAC", "12.0 MAC", "2.50 TMAC"),
    ]


@pytest.mark.parametrize("value", [None, "1", True, float("nan"), float("inf"), [1]])
def test_what_is_no_number_is_none(value: object) -> None:
    assert number(value) is None


def test_any_json_value_fits_on_one_line() -> None:
    value = {"name": "x", "sizes": [1, 2.5], "on": True, "nothing": None, "rows_read": 64076}
    assert plain(value) == "name x, sizes 1, 2.5, on yes, rows read 64,076"


def test_a_long_name_keeps_both_ends() -> None:
    assert shortened("results/big-model/3-prune@onnxruntime") == "results/big…@onnxruntime"
    assert len(shortened("x" * 99)) == 24
    assert shortened("two\nlines") == "two lines"
