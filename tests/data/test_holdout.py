"""Validation rows split off from the training rows: which, how many, and that training does not use them."""

from collections import Counter
from pathlib import Path

import pytest
from conftest import RECIPE, write_tsv

from edgebert.bundle import read_manifest
from edgebert.cli import main
from edgebert.data.examples import Example
from edgebert.data.holdout import hold_out
from edgebert.errors import DataError


def rows(counts: dict[str, int]) -> list[Example]:
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [Example(f"text {at}", None, label, at + 2, "train.tsv") for at, label in enumerate(labels)]


def cut(examples: list[Example], share: float = 0.1, seed: int = 7) -> tuple[list[Example], list[Example]]:
    return hold_out(examples, [row.label for row in examples], share, seed)


def test_every_label_gives_its_share_and_no_row_is_in_both() -> None:
    examples = rows({"often": 600, "seldom": 300, "rarely": 100, "once": 1})
    train, held = cut(examples)
    assert Counter(row.label for row in held) == {"often": 60, "seldom": 30, "rarely": 10}
    assert sorted([*train, *held], key=lambda row: row.line) == examples
    assert train == sorted(train, key=lambda row: row.line)


def test_the_same_seed_cuts_the_same_rows_and_another_seed_others() -> None:
    examples = rows({"a": 400, "b": 400})
    assert cut(examples) == cut(examples)
    assert cut(examples, seed=8)[1] != cut(examples)[1]
    assert len(cut(examples, share=0.25)[1]) == 200


def test_many_rare_labels_give_their_share_together_and_none_is_lost() -> None:
    examples = rows({f"label {number}": 2 for number in range(500)})
    train, held = cut(examples)
    assert len(held) == 100
    assert len({row.label for row in train}) == 500


def test_rows_of_one_text_stay_together() -> None:
    examples = [Example(f"text {at % 200}", f"pair {at}", "ab"[at % 2], at + 2) for at in range(600)]
    train, held = cut(examples)
    assert held
    assert {row.text for row in train}.isdisjoint({row.text for row in held})


@pytest.mark.parametrize(("count", "held"), [(1000, 100), (200, 50), (60, 30), (20, 10)])
def test_few_rows_give_more_than_their_share(count: int, held: int) -> None:
    assert len(cut(rows({"a": count}))[1]) == held


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match=r"train.tsv: 19 rows of 19 different texts are too few .* data.validation"):
        cut(rows({"a": 19}))


def test_an_export_cuts_them_and_its_manifest_says_which(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tsv(tmp_path / "train.tsv", 120, seed=1)
    head = RECIPE[: RECIPE.index("[finetune]")].replace("CHECKPOINT", str(checkpoint))
    head = head.replace('validation = "validation.tsv"\ntest = "test.tsv"\n', "")
    recipe, out = tmp_path / "cut.toml", tmp_path / "out"
    recipe.write_text(f'{head}[finetune]\nepochs = 0.2\n[quantize]\nformat = "none"\n[export]\nstages = false\n')
    command = ["export", str(recipe), "--data-dir", str(tmp_path), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().err
    texts = {line.split("\t")[0] for line in (tmp_path / "train.tsv").read_text().splitlines()[1:]}
    manifest = read_manifest(out)
    train, validation = manifest.data.files
    assert (train.split, validation.split) == ("train", "validation")
    assert (validation.file, validation.sha256) == (train.file, train.sha256)
    assert (validation.cut_share, validation.cut_seed) == (train.cut_share, train.cut_seed) == (0.1, 7)
    assert train.rows is not None
    assert validation.rows is not None
    assert train.rows + validation.rows == 120
    assert validation.rows >= 0.4 * len(texts)
    assert manifest.metrics["validation"].n == validation.rows
    assert f"{validation.rows} of 120 rows are held out for validation and not trained on (seed 7)" in said
    # Another share is a different training, so the finished one is not reused.
    assert main([*command, "--set", "data.validation_share=0.5"]) == 0
    assert "finetune: running" in capsys.readouterr().err
