"""Output of vcgencmd, with and without values."""

import pytest

from edgebert.measure.raspberry_pi import parse_clock, parse_temperature, parse_throttled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("throttled=0x0\n", []),
        ("throttled=0x50000\n", ["under-voltage since boot", "throttled since boot"]),
        (
            "throttled=0x50005\n",
            ["under-voltage now", "throttled now", "under-voltage since boot", "throttled since boot"],
        ),
        (
            "throttled=0xE000A",
            [
                *("frequency capped now", "soft temperature limit now"),
                *("frequency capped since boot", "throttled since boot", "soft temperature limit since boot"),
            ],
        ),
        (None, None),
        ('error=1 error_msg="Command not registered"', None),
    ],
)
def test_throttling_bits_become_words(text: str | None, words: list[str] | None) -> None:
    assert parse_throttled(text) == words


@pytest.mark.parametrize(("text", "value"), [("temp=48.3'C\n", 48.3), ("temp=80'C", 80.0), (None, None), ("", None)])
def test_temperature_is_in_celsius(text: str | None, value: float | None) -> None:
    assert parse_temperature(text) == value


@pytest.mark.parametrize(
    ("text", "value"), [("frequency(48)=1500398464\n", 1500.398464), ("frequency(0)=2400000000", 2400.0), (None, None)]
)
def test_the_clock_is_in_megahertz(text: str | None, value: float | None) -> None:
    assert parse_clock(text) == value
