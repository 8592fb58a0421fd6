"""Tokenizers and models of one export are read once, and read again if their files change."""

import shutil
from pathlib import Path

import pytest
from conftest import make_checkpoint

from edgebert.compress import checkpoint
from edgebert.compress.loaded import Loaded

TASK, LABELS = "text-classification", ["a", "b"]


@pytest.fixture
def loaded() -> Loaded:
    return Loaded()


def test_tokenizers_of_the_same_files_are_one(classifier_checkpoint: Path, tmp_path: Path, loaded: Loaded) -> None:
    copy = Path(shutil.copytree(classifier_checkpoint, tmp_path / "copy"))
    files = [folder / "tokenizer.json" for folder in (classifier_checkpoint, copy)]
    first, second = (loaded.encoder(path, 16) for path in files)
    assert first is second
    assert loaded.encoder(files[0], 8) is not first
    assert loaded.tokenizer(copy) is loaded.tokenizer(classifier_checkpoint)
    assert loaded.written(files[0]) is loaded.written(files[1])
    files[1].write_text(files[1].read_text().replace('"great"', '"grand"'))
    assert loaded.encoder(files[1], 16) is not first
    assert loaded.tokenizer(copy) is not loaded.tokenizer(classifier_checkpoint)
    assert loaded.written(files[0]) is not loaded.written(files[1])


def test_a_model_is_loaded_once_until_its_weights_are_others(
    tmp_path: Path, loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [make_checkpoint(tmp_path / name, layers=1, head=2) for name in "abc"]
    read: list[str] = []
    load = checkpoint.load_model
    monkeypatch.setattr(checkpoint, "load_model", lambda folder, *more: read.append(folder.name) or load(folder, *more))
    first = loaded.model(folders[0], TASK, LABELS)
    assert not first.training
    assert not any(weight.requires_grad for weight in first.parameters())
    loaded.model(folders[1], TASK, LABELS)
    assert loaded.model(folders[0], TASK, LABELS) is first
    loaded.model(folders[2], TASK, LABELS)  # in the place of the one used longest ago
    assert loaded.model(folders[0], TASK, LABELS) is first
    assert read == ["a", "b", "c"]
    make_checkpoint(folders[0], layers=1, head=2, seed=1)
    assert loaded.model(folders[0], TASK, LABELS) is not first
    assert read == ["a", "b", "c", "a"]
