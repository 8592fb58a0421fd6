"""Graphs of every family answer as PyTorch; complete exports of DistilBERT, RoBERTa and MobileBERT."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from family_checkpoints import FAMILIES, PAIRED, STANDARD, make_family
from recipes import splits, whole_chain

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.compress.validation import torch_outputs
from edgebert.exporters.onnx import export_fast, export_plain, fast_module, graph_inputs
from edgebert.exporters.parity import Batches, compare
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.table import task_names
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

CPU = "CPUExecutionProvider"
OUTPUTS: Mapping[str, bool] = {"logits": False}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder per family, with a head of two labels; treat them as read-only."""
    return {family: make_family(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


def load(folder: Path, pruned: bool = False) -> Any:
    model = checkpoint.load_model(folder, "text-classification", ["a", "b"]).eval()
    if pruned:
        cut_unevenly(model)
    return model


def cut_unevenly(model: Any) -> None:
    random = torch.Generator().manual_seed(5)
    layers = range(model.config.num_hidden_layers)
    heads, ffn = ([torch.rand(size, generator=random) for _ in layers] for size in (4, 64))
    cut(model, choose(Importance(heads, ffn), 0.5, 0.5, ffn_multiple=4))


def encoded(lengths: list[int], segments: int, vocabulary: int) -> list[Encoded]:
    """Random tokens; the second half of each window is the second segment where there are two."""
    random = np.random.default_rng(0)
    return [
        Encoded(
            [2, *random.integers(5, vocabulary, length - 2).tolist(), 3],
            [0] * (length // 2) + [segments - 1] * (length - length // 2),
        )
        for length in lengths
    ]


@pytest.mark.parametrize("family", STANDARD)
@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("segments", [1, 2])
@pytest.mark.parametrize("rows", ["first", "all"])
def test_the_rewritten_module_equals_the_model_at_every_length(
    family: str, pruned: bool, segments: int, rows: str, folders: dict[str, Path]
) -> None:
    model = load(folders[family], pruned)
    pad_id = model.config.pad_token_id

    task: Any = SimpleNamespace(rows=rows, head=TRAINING.head)
    fast = fast_module(model, task, segments, 32)
    takes_segments = segments == 2 and family in ("bert", "electra")
    assert fast.inputs == ["input_ids", "attention_mask"] + ["token_type_ids"] * takes_segments
    for length in range(2, 33):
        ids = torch.randint(5, 40, (3, length), generator=torch.Generator().manual_seed(length))
        mask, types = torch.ones_like(ids), torch.zeros_like(ids)
        mask[1, max(1, length // 2) :] = 0
        ids[1][mask[1] == 0] = pad_id
        # The padding token can also occur inside a text, because a user can write it.
        ids[2, length // 2] = pad_id
        types[:, length // 2 :] = segments - 1
        with torch.no_grad():
            expected = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
            (found,) = fast(ids, mask, types) if takes_segments else fast(ids, mask)
        assert (found - expected).abs().max().item() <= 1e-5, f"length {length}"


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder per family, without a head; treat them as read-only."""
    tags = ["O", "B-x", "I-x"]
    return {family: make_family(tmp_path_factory.mktemp(family), family, "", slot_tags=tags) for family in FAMILIES}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", task_names())
def test_every_task_is_rewritten_exactly_saved_and_loaded_again(
    task: str, family: str, encoders: dict[str, Path], tmp_path: Path
) -> None:
    if task in ("token-classification", "intent-slots"):
        pytest.importorskip("seqeval", reason="the export extra is not installed")
    chosen = training_task(task)
    model = checkpoint.load_model(encoders[family], task, ["a", "b"]).eval()
    if family in STANDARD:
        cut_unevenly(model)
    checkpoint.save_model(model, checkpoint.load_tokenizer(encoders[family]), tmp_path)
    again = checkpoint.load_model(tmp_path, task, ["a", "b"], seed=1).eval()
    fast = fast_module(model, chosen, 1, 32)
    ids = torch.randint(5, 40, (3, 32), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[1, 11:] = 0
    ids[1, 11:] = model.config.pad_token_id
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": torch.zeros_like(ids)}
    with torch.no_grad():
        expected, reloaded = (chosen.outputs(each(**inputs)) for each in (model, again))
        found = fast(*[inputs[name] for name in fast.inputs])
    assert all(torch.equal(again.state_dict()[name], weight) for name, weight in model.state_dict().items())
    assert len(expected) == len(found) >= 1
    for ours, theirs, same in zip(found, expected, reloaded, strict=True):
        if ours.shape[:2] == mask.shape:
            ours, theirs, same = ours[mask == 1], theirs[mask == 1], same[mask == 1]
        assert (ours - theirs).abs().max().item() <= 1e-5
        assert (same - theirs).abs().max().item() <= 1e-6
        assert theirs.std().item() > 1e-5


GRAPHS = [
    ("distilbert", "fast", True, 2, False),
    ("electra", "fast", True, 2, True),
    ("electra", "fast", False, 1, False),
    ("roberta", "fast", True, 2, False),
    ("camembert", "fast", False, 1, False),
    ("mobilebert", "fast", False, 2, True),
    ("distilbert", "plain", True, 1, False),
    ("electra", "plain", False, 2, True),
    ("roberta", "plain", False, 2, False),
    ("xlm-roberta", "plain", True, 1, False),
    ("mpnet", "plain", False, 2, False),
    ("modernbert", "plain", False, 2, False),
    ("deberta-v2", "plain", False, 2, False),
    ("deberta", "plain", False, 2, False),
    ("albert", "plain", False, 2, True),
    ("mobilebert", "plain", False, 1, True),
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "kind", "pruned", "segments", "takes_segments"), GRAPHS)
def test_the_graph_equals_the_model_alone_and_in_padded_batches(
    family: str,
    kind: str,
    pruned: bool,
    segments: int,
    takes_segments: bool,
    tmp_path: Path,
) -> None:
    # A first layer and a last one; what rewriting does to layers is held at every length above.
    folder = make_family(tmp_path / "model", family, num_hidden_layers=2)
    model, path = load(folder, pruned), tmp_path / "model.onnx"
    if kind == "fast":
        names = export_fast(model, TRAINING, list(OUTPUTS), segments, 64, path)
    else:
        names = export_plain(model, TRAINING, list(OUTPUTS), path)
    assert names == graph_inputs(path) == ["input_ids", "attention_mask"] + ["token_type_ids"] * takes_segments
    windows = encoded([3, 64, 5, 17, 8, 2, 30, 12, 9, 4], segments, model.config.vocab_size)
    pad_id = model.config.pad_token_id
    reference = list(torch_outputs(model, windows, TRAINING, OUTPUTS, pad_id, batch_size=4))
    parity = compare(reference, OnnxSession(path, 1, CPU), names, windows, OUTPUTS, Batches(pad_id))
    assert parity.max_difference <= 1e-5
    assert parity.agreement == 1.0


def recipe(folder: Path, source: Path, more: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(f'name = "r"\ntask = "text-classification"\n[model]\nsource = "{source}"\n{more}')
    return path


WHOLE = whole_chain(
    "r",
    "text-classification",
    splits("tsv", max_length=32),
    prune={"samples": 32, "recover": {"epochs": 1.0}},
    export={"stages": False},
)


@pytest.mark.slow
def test_a_distilbert_goes_down_the_whole_chain(data_dir: Path, tmp_path: Path) -> None:
    source = make_family(tmp_path / "model", "distilbert", "")
    out = tmp_path / "bundle"
    (tmp_path / "r.toml").write_text(WHOLE.replace("CHECKPOINT", str(source)))
    assert main(["export", str(tmp_path / "r.toml"), "--data-dir", str(data_dir), "--out", str(out)]) == 0
    manifest = read_document(out)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert manifest["inputs"] == ["input_ids", "attention_mask"]
    assert len(manifest["layers"]) == 2
    assert sum(layer["heads"] for layer in manifest["layers"]) == 6
    assert sum(layer["ffn"] for layer in manifest["layers"]) < 128
    assert manifest["metrics"]["test"]["value"] > 0.75
    config = json.loads((out / "config.json").read_text())
    assert (config["model_type"], config["n_layers"], config["max_position_embeddings"]) == ("distilbert", 2, 32)
    model = edgebert.load(out)
    assert model("a lovely film").label == "pos"
    assert model("the story was awful").label == "neg"


PAIRS = """
[data]
unlabelled = ["pairs.csv"]
text = "first"
text_pair = "second"
max_length = 24
[export]
parity_samples = 3
"""


@pytest.mark.slow
def test_a_roberta_of_pairs_is_bundled_with_its_own_padding(tmp_path: Path) -> None:
    source = make_family(tmp_path / "model", "roberta", num_hidden_layers=1)
    lines = ["first,second", *(",".join(pair) for pair in PAIRED)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    assert main(["export", str(recipe(tmp_path, source, PAIRS)), "--out", str(tmp_path / "bundle")]) == 0
    stages = tmp_path / "bundle.stages"
    for folder in (tmp_path / "bundle", stages / "0-baseline", stages / "1-graph"):
        manifest = read_document(folder)
        assert (manifest["segments"], manifest["pad_id"]) == (2, 1)
        assert manifest["inputs"] == ["input_ids", "attention_mask"]
    assert json.loads((tmp_path / "bundle" / "config.json").read_text())["max_position_embeddings"] == 26
    windows = [TextEncoder(tmp_path / "bundle" / "tokenizer.json", 24).encode_pair(*pair) for pair in PAIRED]
    end = windows[0].ids.index(2)
    assert windows[0].ids[0] == 0
    assert windows[0].ids[end : end + 2] == [2, 2]
    expected = list(torch_outputs(load(source), windows, TRAINING, OUTPUTS, 1))
    found = edgebert.load(stages / "1-graph").raw(PAIRED)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours[0] - theirs[0]).max() <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("family", ["mpnet", "modernbert", "deberta-v2", "deberta", "albert"])
def test_a_family_that_is_not_rewritten_has_an_int8_bundle_of_its_plain_graph(
    family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_family(tmp_path / "model", family, num_hidden_layers=1)
    assert main(["export", str(source), "--out", str(tmp_path / "bundle")]) == 0
    assert f"{family} layers cannot be rewritten; writing a plain graph" in capsys.readouterr().err
    manifest = read_document(tmp_path / "bundle")
    assert manifest["inputs"] == ["input_ids", "attention_mask"] + ["token_type_ids"] * (family == "albert")
    assert {layer for work in manifest["cost"] for layer in work["layers"]} == {0}
    # A row of MPNet's table of distances for every two tokens.
    looked_up = [work for work in manifest["cost"] if work["kind"] == "lookup"]
    assert (family == "mpnet") == any(work["batch"] == work["rows"] == "n" for work in looked_up)
    texts = [text for pair in PAIRED for text in pair]
    windows = [TextEncoder(tmp_path / "bundle" / "tokenizer.json", 24).encode(text) for text in texts]
    expected = list(torch_outputs(load(source), windows, TRAINING, OUTPUTS, 1))
    for ours, theirs in zip(edgebert.load(tmp_path / "bundle").raw(texts), expected, strict=True):
        assert np.abs(ours[0] - theirs[0]).max() <= 0.1


@pytest.fixture(scope="module")
def mobilebert_work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Finished stages of MobileBERT: its plain graph is made and checked once for all precisions."""
    return tmp_path_factory.mktemp("mobilebert") / "work"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["none", "dynamic", "static"])
def test_a_mobilebert_keeps_the_plain_graph_and_says_so(
    precision: str,
    mobilebert_work: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    is_new = not mobilebert_work.exists()
    source = make_family(tmp_path / "model", "mobilebert", num_hidden_layers=1)
    (tmp_path / "text.txt").write_text("".join(f"{text}\n" for pair in PAIRED for text in pair))
    more = f'[data]\nunlabelled = ["text.txt"]\nmax_length = 24\n[quantize]\nformat = "{precision}"\n'
    stages = f"export.stages={'true' if precision == 'none' else 'false'}"
    command = ["export", str(recipe(tmp_path, source, more)), "--out", str(tmp_path / "bundle"), "--set", stages]
    assert main([*command, "--work", str(mobilebert_work)]) == 0
    note = "mobilebert layers cannot be rewritten; writing a plain graph"
    assert (note in capsys.readouterr().err) == is_new
    manifest = read_document(tmp_path / "bundle")
    assert manifest["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    if precision == "none":
        assert manifest["stages"][-1]["arguments"]["kind"] == "plain"
    else:
        assert manifest["stages"][-1]["metrics"]["agreement"]["agreement"] >= 0.8
    windows = [TextEncoder(tmp_path / "bundle" / "tokenizer.json", 24).encode(pair[0]) for pair in PAIRED]
    expected = list(torch_outputs(load(source), windows, TRAINING, OUTPUTS))
    found = edgebert.load(tmp_path / "bundle").raw([pair[0] for pair in PAIRED])
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours[0] - theirs[0]).max() <= (1e-5 if precision == "none" else 0.5)
