"""Checkpoints of every family, made once."""

from pathlib import Path

import pytest
from family_checkpoints import FAMILIES, make_family, make_whole


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder per family, with a head of two labels; treat them as read-only."""
    return {family: make_family(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@pytest.fixture(scope="session")
def whole_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same, with a row in the word table for every token of the tokenizer."""
    return {family: make_whole(tmp_path_factory.mktemp(family), family) for family in FAMILIES}
