"""Suites that are not sound."""

from pathlib import Path

import pytest

from edgebert.errors import SettingsError
from edgebert.measure.suite import Suite, read_suite


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('scenarios = ["multi_stream"]', ["'scenarios[0]' is 'multi_stream'", "'single_stream', 'offline', 'server'"]),
        ("[server]\nbound = 5", ["unknown key 'server.bound'", "bound_ms"]),
        ("[server]\npercent = 101", ["'server.percent' is 101", "between 50.0 and 100.0"]),
        ("cold_starts = 1", ["'cold_starts' is 1", "at least 2"]),
        ("soak_minutes = 56", ["'soak_minutes' is 56", "between 0.001 and 55.0"]),
        ("scenarios = []", ["name at least one"]),
        ("rounds = 1", ["'rounds' is 1", "at least 2"]),
        ("samples = 9", ["'samples' is 9", "at least 10"]),
        ("lengths = [2]", ["'lengths'", "between 3 and 512"]),
        ("runs = 5", ["unknown key 'runs'", "rounds"]),
    ],
)
def test_an_unsound_suite_is_refused(text: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_suite(tmp_path / "s.toml")
    for part in ("s.toml", *parts):
        assert part in str(caught.value)
    assert read_suite(None) == Suite()
