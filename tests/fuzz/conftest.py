"""How much is tried: a few seconds in the usual tests, the long form with EDGEBERT_FUZZ=long (`make fuzz`)."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

hypothesis = pytest.importorskip("hypothesis")

from fuzz.tally import LONG, TALLY  # noqa: E402
from hypothesis.configuration import set_hypothesis_home_dir  # noqa: E402

# Its caches are of no use to anybody else, and would stand in the source tree.
set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "edgebert-hypothesis"))


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what one example after the other writes."""
    return tmp_path_factory.mktemp("scratch")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if LONG:
        terminalreporter.section("what was tried")
        for line in TALLY.lines():
            terminalreporter.write_line(line)
