"""`edgebert compare`: a bundle and its checkpoint in transformers and sentence-transformers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from family_checkpoints import make_family, make_whole
from safetensors.torch import load_file, save_file
from sentence_folders import add_module, make_folder, write

import edgebert
from edgebert.cli import main
from edgebert.comparing import has_library

Run = Callable[..., tuple[int, str, str]]
TAGS = {"id2label": {0: "O", 1: "B-PER"}, "label2id": {"O": 0, "B-PER": 1}}
PAIR = {"text": "a good film", "text_pair": "the story was bad"}
QUESTION = {"question": "was it good", "context": "the story was so bad and cold " * 20}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    Path("t.txt").write_text("a good film\nthe story was so bad\nso cold and the meal was warm\n")

    def edgebert_(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return edgebert_


def exported(head: str, family: str = "bert", text: str = "t.txt", pairs: bool = False, **config: object) -> None:
    make_whole(Path("model"), family, head, num_hidden_layers=1, **config)
    edgebert.export("model", out="bundle", text=text, precision="fp32", pairs=pairs)


@pytest.mark.parametrize(
    ("head", "family", "row", "config"),
    [
        ("SequenceClassification", "bert", None, {}),
        ("SequenceClassification", "roberta", PAIR, {}),
        ("TokenClassification", "distilbert", None, TAGS),
        ("MaskedLM", "roberta", None, {}),
        ("QuestionAnswering", "bert", QUESTION, {}),
    ],
    ids=["labels", "pair", "tags", "mask", "question"],
)
def test_a_bundle_in_full_precision_is_its_checkpoint(
    head: str, family: str, row: dict[str, str] | None, config: dict[str, object], run: Run
) -> None:
    if row:
        Path("t.jsonl").write_text(json.dumps(row) + "\n")
    file = "t.jsonl" if row else "t.txt"
    exported(head, family, file, pairs=row is PAIR, **config)
    code, out, err = run("compare", "bundle", "model", "--text", file, "--json", "--max-difference", "1e-5")
    assert code == 0, err
    found = json.loads(out)
    assert found["largest"] < 1e-5
    assert found["same_labels"] == 1
    # A long context has several windows, with the ids of the bundle's own encoder.
    assert found["inputs"] > 3 if row is QUESTION else found["inputs"] == (1 if row else 3)
    assert found["other_ids"] == (None if row is QUESTION or head == "MaskedLM" else 0)
    assert found["source"].startswith(f"transformers {transformers.__version__}, AutoModelFor{head}")


def test_vectors_are_those_of_sentence_transformers(run: Run) -> None:
    make_folder(Path("model"), {"pooling_mode": "mean"})
    edgebert.export("model", out="bundle", text="t.txt", precision="fp32")
    code, out, _ = run("compare", "bundle", "model")
    assert code == 0
    assert "with: sentence-transformers " in out
    assert "inputs: 128, of EdgeBERT's own sentences; --text names a file" in out
    found = json.loads(run("compare", "bundle", "model", "--json")[1])
    assert found["largest_distance"] < 1e-9
    assert found["largest"] < 1e-5
    assert found["same_labels"] is None


def test_pairs_score_vectors_of_a_folder_that_names_no_columns(run: Run) -> None:
    make_folder(Path("model"), {"pooling_mode_mean_tokens": True})
    edgebert.export("model", out="bundle", text="t.txt", precision="fp32")
    Path("p.tsv").write_text("text\ttext_pair\tlabel\ngood\tbad\t0.1\nwarm\tcold\t0.9\nsong\tplay\t0.4\n")
    for more in ([], ["--pair-column", "text_pair"]):
        code, out, err = run("evaluate", "bundle", "--data", "p.tsv", *more)
        assert (code, out.split()[0]) == (0, "spearman"), err
    assert len(run("predict", "bundle", "--input", "p.tsv")[1].splitlines()) == 3
    said = run("compare", "bundle", "model", "--text", "p.tsv")[1]
    assert "inputs: 6 (3 texts or pairs, split as the bundle splits them), of p.tsv" in said


def test_only_a_comparison_that_a_library_can_make_is_proposed(run: Run) -> None:
    make_folder(Path("model"), {"pooling_mode": "mean"})
    make_family(Path("encoder"), "bert", "SequenceClassification")
    assert has_library("model", "similarity")
    assert has_library("encoder", "text-classification")
    assert not has_library("encoder", "similarity")
    assert not has_library("encoder", "intent-slots")


def test_a_changed_checkpoint_is_told_with_the_text_that_shows_it_most(run: Run) -> None:
    exported("SequenceClassification", num_labels=3)
    model = transformers.AutoModelForSequenceClassification.from_pretrained("model")
    with torch.no_grad():
        model.classifier.bias += torch.tensor([0.0, 0.0, 9.0])
    model.save_pretrained("other")
    transformers.AutoTokenizer.from_pretrained("model").save_pretrained("other")
    code, out, err = run("compare", "bundle", "other", "--text", "t.txt", "--max-difference", "0.1")
    assert code == 1
    assert "outputs (before any softmax or sigmoid): 3.00e+00 apart on average, at most 9.00e+00" in out
    assert "furthest apart: t.txt: line " in out
    assert "edgebert: other: is not the checkpoint that the bundle was made from (model, by the manifest's hash)" in err
    assert "is not the checkpoint" not in run("compare", "bundle", "model", "--text", "t.txt")[2]
    assert err.splitlines()[-1] == "edgebert: the outputs differ by 9, more than --max-difference 0.1"


def test_other_modules_and_prompts_are_told(run: Run) -> None:
    make_folder(Path("model"), {"pooling_mode": "mean"}, normalize=False)
    add_module(Path("model"), "LayerNorm", {"dimension": 32})
    prompts = {"prompts": {"query": "a good "}, "default_prompt_name": None}
    write(Path("model/config_sentence_transformers.json"), prompts)
    edgebert.export("model", out="bundle", text="t.txt", precision="fp32")
    assert "the bundle" not in run("compare", "bundle", "model", "--text", "t.txt")[2]
    shutil.copytree("model", "prompted")
    write(Path("prompted/config_sentence_transformers.json"), prompts | {"default_prompt_name": "query"})
    told = run("compare", "bundle", "prompted", "--text", "t.txt")[2]
    assert "edgebert: prompted: its prompts, or the default one, are not those of the bundle" in told
    weights = load_file("model/2_LayerNorm/model.safetensors")
    save_file({name: weight + 1 for name, weight in weights.items()}, "model/2_LayerNorm/model.safetensors")
    told = run("compare", "bundle", "model", "--text", "t.txt")[2]
    assert "model: is not the checkpoint that the bundle was made from (model, by the manifest's hash)" in told
    (line,) = [line for line in run("inspect", "bundle")[1].splitlines() if line.startswith("prompts")]
    assert line.split(maxsplit=1)[1] == "query 'a good '; none by default"


def test_wrong_input_is_refused_in_a_line(run: Run) -> None:
    exported("SequenceClassification")
    make_whole(Path("encoder"), "bert", "", num_hidden_layers=1)
    for words, says in (
        (("bundle", "nothing"), "nothing"),
        (("bundle", "bundle"), "bundle: a bundle, not a checkpoint; give the folder of the model it was made from"),
        (("nothing", "model"), "nothing: no manifest.json"),
        (("bundle", "model", "--text", "no.txt"), "no.txt"),
        (("bundle", "model", "--max-difference", "-1"), "--max-difference is -1; give a number of 0 or more"),
        (("bundle", "model", "--text-column", "a"), "no --text is given"),
        (
            ("bundle", "encoder"),
            "which AutoModelForSequenceClassification needs; give the checkpoint",
        ),
    ):
        code, out, err = run("compare", *words)
        assert (code, out) == (2, "")
        assert says in err.splitlines()[-1]


def test_labels_of_other_names_are_told(run: Run) -> None:
    exported("SequenceClassification", num_labels=3, id2label={0: "neg", 1: "neu", 2: "pos"})
    config = json.loads(Path("model/config.json").read_text())
    Path("model/config.json").write_text(json.dumps(config | {"id2label": {"0": "pos", "1": "neu", "2": "neg"}}))
    code, out, _ = run("compare", "bundle", "model", "--text", "t.txt")
    assert code == 0
    assert "labels: 2 with different names: output 0 is 'neg' here and 'pos' there" in out


def test_a_checkpoint_of_another_size_is_refused(run: Run) -> None:
    exported("SequenceClassification", num_labels=3)
    make_whole(Path("other"), "bert", num_hidden_layers=1, num_labels=1)
    code, out, err = run("compare", "bundle", "other", "--text", "t.txt")
    assert (code, out) == (2, "")
    says = "t.txt: line 1: the bundle outputs 3 numbers, the checkpoint 1; give the checkpoint that the bundle was made"
    assert err.splitlines()[-1] == f"edgebert: {says} from"
