"""A bundle with a model file of the native core beside its ONNX graph, exported once a session."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from recipes import CHAIN, recipe, splits
from shared_work import folder_of_the_run, once

from edgebert.cli import main

RECIPE = recipe(
    "tiny",
    "text-classification",
    splits("tsv", max_length=32),
    finetune=CHAIN["finetune"],
    quantize=CHAIN["quantize"],
    export={"formats": ["onnx", "core"], "stages": False},
)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that all workers of this run share."""
    return folder_of_the_run(tmp_path_factory)


@pytest.fixture(scope="session")
def core_recipe(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A recipe for the tiny checkpoint that asks for the core too."""
    file = tmp_path_factory.mktemp("core-recipe") / "tiny.toml"
    file.write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    return file


@pytest.fixture(scope="session")
def core_work(tmp_path_factory: pytest.TempPathFactory, core_recipe: Path, data_dir: Path) -> Path:
    """Folder of `bundle`, and of the `work` that further exports of the recipe go on with."""

    def export(folder: Path) -> None:
        command = ["export", str(core_recipe), "--data-dir", str(data_dir), "--profile", "x86-avx512-vnni"]
        assert main([*command, "--work", str(folder / "work"), "--out", str(folder / "bundle")]) == 0

    shared = once(folder_of_the_run(tmp_path_factory) / "core-bundle", export)
    return Path(shutil.copytree(shared, tmp_path_factory.mktemp("core") / "of"))


@pytest.fixture(scope="session")
def core_bundle(core_work: Path) -> Path:
    """The bundle; treat it as read-only."""
    return core_work / "bundle"


@pytest.fixture
def export_core(core_work: Path, core_recipe: Path, data_dir: Path, tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """Export the recipe with `--set`s, with the fine-tuned model of `core_bundle`."""

    def run(*changes: str, profile: str = "x86-avx512-vnni") -> tuple[int, Path]:
        out = tmp_path / "out"
        command = ["export", str(core_recipe), "--data-dir", str(data_dir), "--profile", profile]
        command += ["--work", str(core_work / "work"), "--out", str(out)]
        return main([*command, *(part for change in changes for part in ("--set", change))]), out

    return run
