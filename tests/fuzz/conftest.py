"""The amount of fuzzing: a few seconds in ordinary tests, more with EDGEBERT_FUZZ=long (`make fuzz`)."""

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

# Environments for only the device half have no hypothesis; all other tests run there.
collect_ignore_glob = ["test_damaged_*.py", "test_odd_*.py"]
if importlib.util.find_spec("hypothesis"):
    from hypothesis.configuration import set_hypothesis_home_dir

    collect_ignore_glob = []
    # hypothesis would write its cache into the source tree, and nothing uses it.
    set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "edgebert-hypothesis"))


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all examples of a test reuse."""
    return tmp_path_factory.mktemp("scratch")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if os.environ.get("EDGEBERT_FUZZ") != "long":
        return
    from fuzz.tally import TALLY

    terminalreporter.section("what was tried")
    for line in TALLY.lines():
        terminalreporter.write_line(line)
