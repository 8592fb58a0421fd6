"""Masked language modelling on the workstation: masks, losses, tied heads, and a small encoder for the next task."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import NASTY, NICE
from family_checkpoints import FAMILIES, make_family
from safetensors.torch import load_file, save_file

import edgebert
from edgebert.bundle import file_sha256, read_manifest
from edgebert.cli import main
from edgebert.compress import arch
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.data import Labels, TaskData, encode_rows, model_inputs
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.compress.student import make_student
from edgebert.compress.tasks import fill_mask
from edgebert.compress.train import Training, _Trainer, train
from edgebert.compress.validation import torch_outputs
from edgebert.errors import CheckpointError, DataError
from edgebert.examples import Example
from edgebert.exporters.onnx import export_fast, export_plain
from edgebert.exporters.parity import compare
from edgebert.recipe import DataSettings, TrainSettings
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.session import OnnxSession
from edgebert.runtime.tasks.fill_mask import METRICS, FillMask, Settings

MASK, VOCABULARY = 4, 70


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny BERT with a head for masked words."""
    return make_family(tmp_path_factory.mktemp("masked"), "bert", "MaskedLM")


def items(*lengths: int, seed: int = 0) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    rows = [[2, *draw.integers(5, VOCABULARY, length - 2).tolist(), 3] for length in lengths]
    return [{"input_ids": r, "token_type_ids": [0] * len(r), "mask_id": MASK, "vocabulary": VOCABULARY} for r in rows]


def test_the_same_batch_hides_the_same_tokens_and_another_batch_others() -> None:
    rows = items(*[22] * 8)
    first, again, other = (fill_mask.collate(several) for several in (rows, rows, [*rows[:7], items(22, seed=1)[0]]))
    assert all(torch.equal(first[name], again[name]) for name in first)
    hidden, elsewhere = first["labels"][:7] >= 0, other["labels"][:7] >= 0
    assert not torch.equal(hidden, elsewhere)


def test_15_percent_are_hidden_and_neither_special_tokens_nor_padding() -> None:
    lengths = [3, 4, 12, 22, 42]
    rows = items(*lengths)
    batch = fill_mask.collate(rows, pad_id=9)
    assert (batch["labels"] >= 0).sum(1).tolist() == [1, 1, 2, 3, 6]
    for row, (item, length) in enumerate(zip(rows, lengths, strict=True)):
        hidden = (batch["labels"][row] >= 0).nonzero().flatten().tolist()
        assert min(hidden) >= 1
        assert max(hidden) <= length - 2
        assert batch["labels"][row, hidden].tolist() == [item["input_ids"][at] for at in hidden]
        shown = batch["input_ids"][row].tolist()
        assert [shown[at] for at in range(length) if at not in hidden] == [
            item["input_ids"][at] for at in range(length) if at not in hidden
        ]
        assert set(shown[length:]) <= {9}
    assert batch["attention_mask"].sum(1).tolist() == lengths


def test_of_the_hidden_four_fifths_are_masked_and_a_tenth_is_drawn() -> None:
    fates: Counter[str] = Counter()
    for seed in range(40):
        batch = fill_mask.collate(items(*[42] * 16, seed=seed))
        hidden = batch["labels"] >= 0
        shown, true = batch["input_ids"][hidden], batch["labels"][hidden]
        fates["mask"] += int((shown == MASK).sum())
        fates["same"] += int((shown == true).sum())
        fates["hidden"] += len(true)
    assert fates["mask"] / fates["hidden"] == pytest.approx(0.8, abs=0.02)
    # A drawn token may be the mask, or the token itself.
    assert fates["same"] / fates["hidden"] == pytest.approx(0.1, abs=0.02)


def test_losses_read_the_hidden_tokens_alone() -> None:
    draw = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(2, 4, 6, generator=draw) for _ in range(2))
    batch = {"labels": torch.tensor([[-100, 5, -100, -100], [-100, 0, 2, -100]])}
    logits, wanted = ours[[0, 1, 1], [1, 1, 2]], torch.tensor([5, 0, 2])
    expected = -torch.log_softmax(logits, -1)[range(3), wanted].mean()
    assert fill_mask.hard_loss((ours,), batch).item() == pytest.approx(expected.item(), rel=1e-6)
    ours_soft, theirs_soft = (torch.softmax(one[[0, 1, 1], [1, 1, 2]] / 2.0, -1) for one in (ours, theirs))
    divergence = (theirs_soft * (theirs_soft / ours_soft).log()).sum(-1).mean() * 4.0
    assert fill_mask.soft_loss((ours,), (theirs,), batch, 2.0).item() == pytest.approx(divergence.item(), rel=1e-5)
    spoilt = theirs.clone()
    spoilt[:, [0, 3]] = 100.0
    assert fill_mask.soft_loss((theirs,), (spoilt,), batch, 2.0).item() == pytest.approx(0.0, abs=1e-7)


def test_the_score_in_training_is_that_of_the_device() -> None:
    found = [[True, False, True], [False], [True, True]]
    table = METRICS["accuracy"].table([True] * 3, found)
    assert fill_mask.score("accuracy", [True] * 3, found) == pytest.approx(METRICS["accuracy"].figure(table)) == 4 / 6


def test_names_for_labels_are_refused() -> None:
    assert fill_mask.read_labels(DataSettings(), {"train": []}, Path("d"), ["a", "b"], Settings()).names == []
    with pytest.raises(DataError, match=r"data\.label_names is \{'0': 'no'\}"):
        fill_mask.read_labels(DataSettings(label_names={"0": "no"}), {}, Path("d"), None, Settings())


IDS = torch.tensor([[2, 8, 9, 4, 11, 3], [2, 4, 7, 3, 0, 0]])
SEEN = (IDS != 0).long()


def logits(model: Any, types: bool = True) -> torch.Tensor:
    more = {"token_type_ids": torch.zeros_like(IDS)} if types else {}
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS, attention_mask=SEEN, **more).logits
    return found


def pruned(folder: Path, task: str = "fill-mask") -> Any:
    model = checkpoints.load_model(folder, task, [])
    draw = torch.Generator().manual_seed(5)
    scores = Importance(
        [torch.rand(4, generator=draw) for _ in range(3)], [torch.rand(64, generator=draw) for _ in range(3)]
    )
    cut(model, choose(scores, 0.5, 0.5, ffn_multiple=4))
    return model


@pytest.mark.parametrize("shape", ["whole", "fewer layers", "narrow", "pruned"])
def test_a_tied_decoder_is_saved_once_and_reads_as_it_was(language_model: Path, tmp_path: Path, shape: str) -> None:
    teacher = checkpoints.load_model(language_model, "fill-mask", [])
    made = {"whole": lambda: teacher, "fewer layers": lambda: make_student(teacher, (0, 2))}
    made |= {"narrow": lambda: make_student(teacher, (0, 2), 16), "pruned": lambda: pruned(language_model)}
    model = made[shape]()
    checkpoints.save_model(model, checkpoints.load_tokenizer(language_model), tmp_path)
    assert "cls.predictions.decoder.weight" not in load_file(tmp_path / "model.safetensors")
    assert checkpoints.has_head(tmp_path, "fill-mask", [])
    again = checkpoints.load_model(tmp_path, "fill-mask", [])
    assert torch.equal(logits(again), logits(model))
    assert again.cls.predictions.decoder.weight is arch.embeddings(again).word_embeddings.weight


def test_a_head_is_found_where_there_is_one(language_model: Path, checkpoint: Path, tmp_path: Path) -> None:
    assert checkpoints.has_head(language_model, "fill-mask", [])
    assert not checkpoints.has_head(checkpoint, "fill-mask", [])
    old = Path(shutil.copytree(language_model, tmp_path / "old"))
    weights = load_file(old / "model.safetensors")
    older = {
        name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta"): w for name, w in weights.items()
    }
    save_file(older, old / "model.safetensors", metadata={"format": "pt"})
    assert older.keys() != weights.keys()
    assert checkpoints.has_head(old, "fill-mask", [])
    assert torch.equal(
        logits(checkpoints.load_model(old, "fill-mask", [])),
        logits(checkpoints.load_model(language_model, "fill-mask", [])),
    )


@pytest.mark.parametrize(("kind", "is_pruned"), [("fast", True), ("fast", False), ("plain", True)])
def test_the_graph_has_the_scores_of_every_token(
    language_model: Path, tmp_path: Path, kind: str, is_pruned: bool
) -> None:
    model = pruned(language_model) if is_pruned else checkpoints.load_model(language_model, "fill-mask", [])
    model.eval()
    graph = tmp_path / "model.onnx"
    if kind == "fast":
        names = export_fast(model, fill_mask, ["logits"], 1, 32, graph)
    else:
        names = export_plain(model, fill_mask, ["logits"], graph)
    rows = [Encoded(item["input_ids"], item["token_type_ids"]) for item in items(3, 32, 5, 17, 8, 2, 30, 12)]
    reference = list(torch_outputs(model, rows, fill_mask, FillMask.OUTPUTS))
    assert reference[1][0].shape == (32, model.config.vocab_size)
    session = OnnxSession(graph, 1, "CPUExecutionProvider")
    assert compare(reference, session, names, rows, FillMask.OUTPUTS).max_difference <= 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_fills_in_its_own_mask(family: str, tmp_path: Path) -> None:
    folder = make_family(tmp_path / family, family, "MaskedLM")
    assert checkpoints.has_head(folder, "fill-mask", [])
    model = checkpoints.load_model(folder, "fill-mask", []).eval()
    tokenizer = checkpoints.load_tokenizer(folder)
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    manifest = {"head": {"settings": {}}}
    task = FillMask(manifest, TextEncoder(tmp_path / "tokenizer.json", 32))
    assert task.mask() == (tokenizer.mask_token, tokenizer.mask_token_id)
    (window,) = task.encode("a good [MASK] and a warm meal")
    assert window.ids.count(tokenizer.mask_token_id) == 1
    (outputs,) = torch_outputs(model, [window], fill_mask, FillMask.OUTPUTS)
    answer = task.decode("", [window], [outputs])
    assert len(answer.masks[0]) == 5
    assert task.predicted(task.decode(("",), task.encode(("a good film",)), [outputs])) in ([True], [False])


def loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return fill_mask.hard_loss(fill_mask.outputs(model(**model_inputs(batch))), batch)


def test_a_killed_run_hides_the_same_tokens_again(
    language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = TextEncoder(language_model / "tokenizer.json", 32)
    texts = [Example(line, None, line, at) for at, line in enumerate(lines(48, 1))]
    data = TaskData("fill-mask", texts, [], [], [], Labels([], []), {"top_k": 5}, [])
    rows = encode_rows(texts, data, encoder)
    settings = TrainSettings(epochs=2.0, batch_size=8, evaluations_per_epoch=2)

    def run(name: str) -> Any:
        model = checkpoints.load_model(language_model, "fill-mask", [])
        folder = tmp_path / name
        train(
            model, Training("t", rows, lambda model: 0.5, settings, "accuracy", 3, folder, 0, fill_mask.collate), loss
        )
        return model

    whole = run("whole").state_dict()
    step = _Trainer.training_step

    def dies(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 8:
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    monkeypatch.setattr(_Trainer, "training_step", dies)
    with pytest.raises(KeyboardInterrupt):
        run("broken")
    monkeypatch.undo()
    resumed = run("broken").state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def lines(count: int, seed: int) -> list[str]:
    """One word again and again: what is hidden stands beside its mask."""
    draw = random.Random(seed)
    return [" ".join([draw.choice([*NICE, *NASTY])] * draw.randint(4, 9)) for _ in range(count)]


RECIPE = """
name = "words"
task = "fill-mask"
[model]
source = "CHECKPOINT"
[data]
train = "train.txt"
validation = "validation.txt"
test = "test.txt"
unlabelled = ["more.txt.gz"]
max_length = 32
[head]
top_k = 3
[finetune]
epochs = 12.0
learning_rate = 3e-3
batch_size = 16
[distill]
layers = [0, 2]
epochs = 4.0
learning_rate = 2e-3
batch_size = 16
loss = { hard = 1.0 }
[prune]
ffn_multiple = 8
samples = 64
[prune.recover]
epochs = 2.0
learning_rate = 1e-3
batch_size = 16
[quantize]
samples = 16
[export]
stages = false
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The bundle of the whole chain; its data lies beside it."""
    import gzip

    folder = tmp_path_factory.mktemp("words")
    for name, count, seed in (("train", 192, 1), ("validation", 48, 2), ("test", 48, 3)):
        (folder / f"{name}.txt").write_text("\n".join(lines(count, seed)) + "\n")
    (folder / "more.txt.gz").write_bytes(gzip.compress("\n".join(lines(32, 4)).encode()))
    (folder / "words.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "words.toml"), "--out", str(folder / "bundle")]) == 0
    return folder / "bundle"


def test_the_whole_chain_gives_a_bundle_that_fills_in(exported: Path) -> None:
    manifest = read_manifest(exported)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["task"], manifest["labels"], manifest["segments"]) == ("fill-mask", [], 1)
    assert (manifest["inputs"], manifest["outputs"]) == (["input_ids", "attention_mask"], ["logits"])
    assert (manifest["metrics"]["test"]["metric"], manifest["metrics"]["test"]["n"]) == ("accuracy", 48)
    assert manifest["metrics"]["test"]["value"] > 0.5, "by chance it is 0.1"
    assert manifest["head"]["settings"] == {"top_k": 3}


def test_the_command_line_fills_in(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "good good [MASK] good good"
    (several,) = edgebert.load(exported)(text).masks
    assert len(several) == 3
    assert main(["predict", str(exported), text]) == 0
    shown = ", ".join(f"{one.token} {one.score:.4f}" for one in several)
    assert capsys.readouterr().out == f"{shown}\t{text}\n"
    assert main(["predict", str(exported), text, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["masks"][0][0] == {"token": several[0].token, "score": several[0].score}
    assert main(["predict", str(exported), "good good"]) == 2
    assert "holds no [MASK]" in capsys.readouterr().err


def test_the_command_line_evaluates_as_the_export_did(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(exported), "--data", str(exported.with_name("test.txt")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"] == read_manifest(exported)["metrics"]["test"]


def test_bench_has_its_quality_too(exported: Path) -> None:
    from edgebert.measure.bench import read_workload
    from edgebert.measure.process import run_child

    workload = read_workload(exported.with_name("test.txt"), read_manifest(exported))
    assert workload.examples[0].label is not None
    job = {"bundle": str(exported), "runtime": None, "threads": 1, "warmup": 1, "samples": 4, "batch_size": 4}
    job |= {"length": 0, "texts": workload.inputs[:8]}
    assert run_child({**job, "scenario": "offline"})["texts"] == 8
    scored = run_child(
        {**job, "scenario": "quality", "data": str(exported.with_name("test.txt")), "metric": "accuracy"}
    )
    assert scored["quality"] == read_manifest(exported)["metrics"]["test"]


@pytest.fixture(scope="module")
def small(exported: Path) -> Path:
    """The pruned model folder of the chain."""
    (folder,) = exported.with_name("bundle.work").glob("recover-*")
    return folder


def test_the_small_encoder_starts_the_next_task_with_a_head_from_the_seed(small: Path) -> None:
    source = load_file(small / "model.safetensors")
    models = [checkpoints.load_model(small, "text-classification", ["a", "b", "c"], seed) for seed in (1, 1, 2)]
    assert arch.noted_shapes(models[0].config) == arch.layer_shapes(models[0])
    state = models[0].state_dict()
    encoder = [name for name in source if name.startswith("bert.")]
    assert len(encoder) > 20
    assert all(torch.equal(state[name], source[name]) for name in encoder)
    heads = [model.classifier.weight for model in models]
    assert heads[0].shape == (3, 32)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not checkpoints.has_head(small, "text-classification", ["a", "b", "c"])


def test_a_pruned_head_of_other_labels_is_drawn_anew(classifier_checkpoint: Path, tmp_path: Path) -> None:
    model = pruned_classifier(classifier_checkpoint)
    checkpoints.save_model(model, checkpoints.load_tokenizer(classifier_checkpoint), tmp_path)
    same = checkpoints.load_model(tmp_path, "text-classification", ["a", "b"])
    assert torch.equal(same.classifier.weight, model.classifier.weight)
    more = checkpoints.load_model(tmp_path, "text-classification", ["a", "b", "c"])
    assert more.classifier.weight.shape == (3, 32)
    assert torch.equal(more.bert.pooler.dense.weight, model.bert.pooler.dense.weight)


def pruned_classifier(folder: Path) -> Any:
    model = checkpoints.load_model(folder, "text-classification", ["a", "b"])
    scores = Importance([torch.arange(4.0)] * 3, [torch.arange(64.0)] * 3)
    cut(model, choose(scores, 0.5, 0.5, ffn_multiple=4))
    return model


def test_the_small_encoder_embeds_without_its_prefix(small: Path) -> None:
    bare = checkpoints.load_model(small, "similarity", []).eval()
    whole = checkpoints.load_model(small, "fill-mask", []).eval()
    with torch.no_grad():
        ours = bare(input_ids=IDS, attention_mask=SEEN).last_hidden_state
        theirs = whole.bert(input_ids=IDS, attention_mask=SEEN).last_hidden_state
    assert torch.equal(ours, theirs)


def test_a_pruned_encoder_without_prefix_starts_a_task_with_one(small: Path, tmp_path: Path) -> None:
    bare = checkpoints.load_model(small, "similarity", [])
    checkpoints.save_model(bare, checkpoints.load_tokenizer(small), tmp_path)
    assert not any(name.startswith("bert.") for name in load_file(tmp_path / "model.safetensors"))
    model = checkpoints.load_model(tmp_path, "text-classification", ["a", "b"])
    source = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(model.state_dict()[f"bert.{name}"], tensor) for name, tensor in source.items())


def test_a_pruned_folder_that_lost_a_part_of_its_encoder_is_refused(small: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(small, tmp_path / "broken"))
    weights = load_file(broken / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"has no bert\.encoder\.layer\.1\.output\.dense\.weight"):
        checkpoints.load_model(broken, "text-classification", ["a", "b"])


def test_another_recipe_takes_the_small_encoder_as_its_model(small: Path, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "next.toml").write_text(
        'name = "next"\ntask = "text-classification"\n[model]\nsource = "elsewhere"\n'
        '[data]\ntrain = "train.tsv"\nvalidation = "validation.tsv"\nmax_length = 32\n'
        '[finetune]\nepochs = 3.0\nlearning_rate = 3e-3\nbatch_size = 8\n[quantize]\nformat = "none"\n'
        "[export]\nstages = false\n"
    )
    before = file_sha256(small / "model.safetensors")
    command = ["export", str(tmp_path / "next.toml"), "--model", str(small), "--data-dir", str(data_dir)]
    assert main([*command, "--out", str(tmp_path / "next")]) == 0
    manifest = read_manifest(tmp_path / "next")
    assert manifest["metrics"]["validation"]["value"] > 0.8
    assert [[layer["heads"], layer["ffn"]] for layer in manifest["layers"]] == json.loads(
        (small / "config.json").read_text()
    )[arch.SHAPES_KEY]
    assert file_sha256(small / "model.safetensors") == before
