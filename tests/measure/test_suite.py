"""Invalid suites."""

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
        ("cold_starts = 1", ["'cold_starts' is 1", "between 2 and 1000"]),
        ("soak_minutes = 56", ["'soak_minutes' is 56", "between 0.001 and 55.0"]),
        ("scenarios = []", ["name at least one"]),
        ("rounds = 1", ["'rounds' is 1", "between 2 and 1000"]),
        ("samples = 9", ["'samples' is 9", "between 10 and 1000000"]),
        ("lengths = [2]", ["'lengths'", "between 3 and 512"]),
        ("rounds = 1001", ["'rounds' is 1001", "between 2 and 1000"]),
        ("samples = 1000001", ["'samples' is 1000001", "between 10 and 1000000"]),
        ("warmup = 9999999999999999999999", ["'warmup' is a number of more than 19 digits", "between 0 and 1000000"]),
        ("cold_starts = 1001", ["'cold_starts' is 1001", "between 2 and 1000"]),
        ("threads = 1025", ["'threads' is 1025", "between 1 and 1024"]),
        ("batch_size = 4097", ["'batch_size' is 4097", "between 1 and 4096"]),
        ("seed = 2147483649", ["'seed' is 2147483649", "between 0 and 2147483648"]),
        ("[server]\nqueries = 100001", ["'server.queries' is 100001", "between 10 and 100000"]),
        ("[server]\nbound_ms = 3600001", ["'server.bound_ms' is 3600001.0", "between 0.001 and 3600000"]),
        ("batch_size = 4096\nlengths = [512]", ["batch_size 4096 x length 512 is 2097152 tokens", "at most 1048576"]),
        ('scenarios = ["offline", "offline"]', ["scenarios names 'offline' more than once; name it once"]),
        ('runtimes = ["default", "default"]', ["runtimes names 'default' more than once"]),
        ("lengths = [16, 32, 16]", ["lengths names 16 more than once"]),
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


def test_long_batches_are_for_the_scenario_that_runs_them(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('scenarios = ["single_stream"]\nbatch_size = 4096\nlengths = [512]')
    assert read_suite(tmp_path / "s.toml").batch_size == 4096
