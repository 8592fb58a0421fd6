"""How much is tried: a few seconds in the usual tests, the long form with EDGEBERT_FUZZ=long (`make fuzz`)."""

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

# Environments for the device half alone have no hypothesis; every other test can run there.
collect_ignore_glob = ["test_damaged_*.py", "test_odd_*.py"]
if importlib.util.find_spec("hypothesis"):
    from hypothesis.configuration import set_hypothesis_home_dir

    collect_ignore_glob = []
    # Its caches are of no use to anybody else, and would stand in the source tree.
    set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "edgebert-hypothesis"))


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what one example after the other writes."""
    return tmp_path_factory.mktemp("scratch")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if os.environ.get("EDGEBERT_FUZZ") != "long":
        return
    from fuzz.tally import TALLY

    terminalreporter.section("what was tried")
    for line in TALLY.lines():
        terminalreporter.write_line(line)
