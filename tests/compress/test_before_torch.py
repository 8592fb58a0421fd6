"""An invalid config or tokenizer is refused before PyTorch is imported, which takes seconds."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys
from edgebert.cli import main
code = main(sys.argv[1:])
heavy = [name for name in ("torch", "transformers", "onnx") if name in sys.modules]
print(code, *heavy)
"""
RECIPE = 'name = "x"\ntask = "text-classification"\n[model]\nsource = "{}"\n[data]\nunlabelled = ["a.tsv"]\n'
CONFIG = {"model_type": "bert", "hidden_act": "gelu"}


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (CONFIG | {"model_type": "t5"}, "model family 't5' is not supported"),
        (CONFIG | {"num_hidden_layers": 0}, "num_hidden_layers is 0; expected a whole number"),
        (CONFIG | {"is_decoder": True}, "is_decoder is true in config.json; give an encoder"),
        (CONFIG | {"id2label": ["a"]}, "id2label is a list; expected an object"),
        (CONFIG | {"model_type": "roberta", "pad_token_id": None}, "pad_token_id is null"),
        (
            CONFIG | {"pruned_heads": {"0": [1]}},
            "pruned_heads is {'0': [1]} in config.json; which transformers 5 does not",
        ),
        (CONFIG | {"problem_type": "ranking"}, "problem_type is 'ranking' in config.json; expected 'regression', "),
        (CONFIG | {"pruned_heads": {}, "problem_type": None}, "no tokenizer.json, vocab.txt"),
        (CONFIG, "no tokenizer.json, vocab.txt"),
    ],
    ids=["family", "layers", "decoder", "names", "padding", "pruned", "problem", "unpruned", "tokenizer"],
)
def test_a_config_is_refused_before_pytorch_is_imported(config: dict[str, object], says: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    (tmp_path / "r.toml").write_text(RECIPE.format(tmp_path / "model"))
    (tmp_path / "a.tsv").write_text("text\na\n")
    command = [sys.executable, "-c", RUN, "export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "2\n"
    assert says in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vocab_size": 7}, "vocab_size is 7, but "),
        ({"type_vocab_size": 7}, "type_vocab_size is 7, but "),
        ({"max_position_embeddings": 77}, "max_position_embeddings is 77, but "),
        ({}, "not a complete safetensors file"),
        ({"model_type": "roberta", "pad_token_id": 1}, "model_type is 'roberta', but architectures names 'Bert"),
    ],
    ids=["words", "segments", "positions", "cut", "family"],
)
def test_weights_that_are_not_the_configs_are_refused_before_pytorch_is_imported(
    change: dict[str, object], says: str, classifier_checkpoint: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(classifier_checkpoint, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    if not change:
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[:100])
    (tmp_path / "r.toml").write_text(RECIPE.format(folder))
    (tmp_path / "a.tsv").write_text("text\na\n")
    command = [sys.executable, "-c", RUN, "export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "2\n"
    assert says in done.stderr.splitlines()[-1]


def test_data_of_an_unknown_format_is_refused_before_pytorch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.format(tmp_path / "model").replace("a.tsv", "a.xlsx"))
    (tmp_path / "a.xlsx").write_text("text\na\n")
    command = [sys.executable, "-c", RUN, "export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "2\n"
    assert done.stderr.splitlines()[-1] == (
        f"edgebert: {tmp_path / 'r.toml'}: 'data.unlabelled' names 'a.xlsx': unknown data format '.xlsx'; expected "
        ".tsv, .csv, .jsonl, .txt, or .gz of one"
    )


@pytest.mark.parametrize(
    ("task", "name", "expected"),
    [
        ("text-classification", "a.xlsx", ".tsv, .csv, .jsonl, .txt"),
        ("fill-mask", "a.json", ".tsv, .csv, .jsonl, .txt"),
        ("question-answering", "a.csv", ".json, .jsonl"),
    ],
)
def test_labelled_data_of_an_unknown_format_is_refused_before_pytorch_is_imported(
    task: str, name: str, expected: str, tmp_path: Path
) -> None:
    recipe = RECIPE.format(tmp_path / "model").replace("text-classification", task)
    (tmp_path / "r.toml").write_text(recipe.replace("[data]", f'[data]\nvalidation = "{name}"'))
    (tmp_path / name).write_text("text\na\n")
    command = [sys.executable, "-c", RUN, "export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "2\n"
    assert done.stderr.splitlines()[-1] == (
        f"edgebert: {tmp_path / 'r.toml'}: 'data.validation' names '{name}': unknown data format "
        f"'{Path(name).suffix}'; expected {expected}, or .gz of one"
    )


def test_data_that_is_not_there_is_refused_before_pytorch_is_imported(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.format(tmp_path / "model"))
    for options, says in (
        (["--data-dir", str(tmp_path / "no")], f"{tmp_path / 'no'}: no such data folder; give --data-dir"),
        ([], f"{tmp_path / 'a.tsv'}: no such file; check the path and the folder it is relative to"),
    ):
        command = [
            sys.executable,
            "-c",
            RUN,
            "export",
            str(tmp_path / "r.toml"),
            "--out",
            str(tmp_path / "o"),
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr.splitlines()[-1]) == ("2\n", f"edgebert: {says}")
