"""Fixtures for tests of several adapters."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the task `similarity`."""
    from sentence_folders import export, make_folder  # with PyTorch, which other examples do without

    folder = tmp_path_factory.mktemp("adapters")
    export(make_folder(folder / "model", {"pooling_mode_mean_tokens": True}), folder)
    return folder / "bundle"
