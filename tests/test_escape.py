"""Text from a bundle, a result or a user is printed on one line, without control characters."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manifests import SATURATES, manifest_of, rewrite, small_bundle

from edgebert.cli import main
from edgebert.commands.output import note, table, write, write_json, write_json_line
from edgebert.escape import escaped
from edgebert.exporters.card import model_card
from edgebert.measure.progress import Terminal

EVIL = "a\nb\r\x1b[2J\x9b1m\u2028\u202ex"
SHOWN = r"a\nb\r\x1b[2J\x9b1m\u2028\u202ex"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, größe, 中文, 👩\u200d👧, a\xa0b", None),
        (EVIL, SHOWN),
        ("\ud800\0\x7f", r"\ud800\x00\x7f"),
        ("\t", r"\t"),
        ("", None),
    ],
)
def test_controls_are_escaped_and_text_is_not(text: str, expected: str | None) -> None:
    assert escaped(text) == (text if expected is None else expected)


def test_what_commands_write_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    write(table(("name", "value"), [(EVIL, 1)]))
    write(f"a\t{EVIL[2:]}\nb")
    note(EVIL)
    Terminal().say(EVIL)
    out, err = capsys.readouterr()
    assert out.split("\n")[2] == f"{SHOWN}  1"
    assert "\x1b" not in out + err
    assert "\x9b" not in out + err
    assert err == f"{SHOWN}\n{SHOWN}\n"


def test_json_is_escaped_as_json_and_reads_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    write_json({EVIL: ["\ud800", "ä"]})
    out = capsys.readouterr().out
    assert json.loads(out) == {EVIL: ["\ud800", "ä"]}
    assert out.replace("\n", "").isprintable()
    write_json("ä")
    assert capsys.readouterr().out == '"ä"\n'


@pytest.mark.parametrize("writer", [write_json, write_json_line])
def test_a_number_that_json_does_not_have_is_null(
    writer: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    writer({"scores": {"a": float("nan"), "b": 0.5}, "embedding": (float("inf"), -float("inf"), 1)})
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found == {"scores": {"a": None, "b": 0.5}, "embedding": [None, None, 1]}


@SATURATES
def test_labels_of_a_bundle_are_escaped_wherever_they_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    rewrite(bundle, labels=[EVIL, f"{EVIL}2"], name=EVIL)
    (tmp_path / "rows.tsv").write_text("text\tlabel\na good film\tneg\nan awful\x1b[2J play\tpos\n")
    rows = str(tmp_path / "rows.tsv")
    lines = {"predict": 2, "inspect": 30, "evaluate": 5}
    for command in (["predict", "--input", rows], ["inspect"], ["evaluate", "--data", rows]):
        assert main([command[0], str(bundle), *command[1:]]) == 0
        out = capsys.readouterr().out
        assert out.count("\n") <= lines[command[0]]
        assert all(line.replace("\t", "").isprintable() for line in out.split("\n"))
        assert SHOWN in out or command[0] == "evaluate"


@SATURATES
def test_an_unknown_label_is_named_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    rewrite(bundle, labels=[EVIL, "pos"])
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "a", "label": EVIL + "?"}) + "\n")
    assert main(["evaluate", str(bundle), "--data", str(tmp_path / "rows.jsonl")]) == 0
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err[:-1].isprintable()
    assert SHOWN in err


def test_labels_are_escaped_in_the_model_card(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["measured_on"] = {"cpu": "a CPU", "machine": "x86_64", "int8": "vnni"}
    lines = model_card(manifest_of(manifest)).count("\n")
    card = model_card(manifest_of(manifest, labels=[EVIL, "pos"], name=EVIL))
    assert card.count("\n") == lines
    assert f"- Labels: {SHOWN}, pos\n" in card
    assert card.replace("\n", "").isprintable()
