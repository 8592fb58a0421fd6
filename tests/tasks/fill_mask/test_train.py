"""Masked language modelling on the workstation: masks, losses, tied heads, graphs of every family."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import transformers
from family_checkpoints import FAMILIES, WORDPIECES, make_family, make_tokenizer
from manifests import facts_of
from masked_words import IDS, SEEN, lines
from safetensors.torch import load_file, save_file
from this_machine import choice_here

from edgebert.compress import arch
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.batch import model_inputs
from edgebert.compress.data import TaskData, encode_rows
from edgebert.compress.fit import check_mask
from edgebert.compress.importance import Importance
from edgebert.compress.labels import Labels
from edgebert.compress.prune import choose, cut
from edgebert.compress.student import make_student
from edgebert.compress.train import Training, _Trainer, train
from edgebert.compress.validation import torch_outputs
from edgebert.data.examples import Example
from edgebert.errors import CheckpointError, DataError
from edgebert.exporters.onnx import export_fast, export_plain, fast_module
from edgebert.exporters.parity import compare, relative_error
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.graph import load_folded
from edgebert.exporters.quantize.products import head_matmuls, release, weight_products
from edgebert.exporters.quantize.static import quantize_static
from edgebert.recipe import DataSettings, TrainSettings
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.fill_mask.predict import FillMask
from edgebert.tasks.fill_mask.spec import SPEC
from edgebert.tasks.training_table import training_task

TRAINING = training_task("fill-mask")

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
    first, again, other = (TRAINING.collate(several) for several in (rows, rows, [*rows[:7], items(22, seed=1)[0]]))
    assert all(torch.equal(first[name], again[name]) for name in first)
    hidden, elsewhere = first["labels"][:7] >= 0, other["labels"][:7] >= 0
    assert not torch.equal(hidden, elsewhere)


def test_15_percent_are_hidden_and_neither_special_tokens_nor_padding() -> None:
    lengths = [3, 4, 12, 22, 42]
    rows = items(*lengths)
    batch = TRAINING.collate(rows, pad_id=9)
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
        batch = TRAINING.collate(items(*[42] * 16, seed=seed))
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
    assert TRAINING.hard_loss((ours,), batch).item() == pytest.approx(expected.item(), rel=1e-6)
    ours_soft, theirs_soft = (torch.softmax(one[[0, 1, 1], [1, 1, 2]] / 2.0, -1) for one in (ours, theirs))
    divergence = (theirs_soft * (theirs_soft / ours_soft).log()).sum(-1).mean() * 4.0
    assert TRAINING.soft_loss((ours,), (theirs,), batch, 2.0).item() == pytest.approx(divergence.item(), rel=1e-5)
    spoilt = theirs.clone()
    spoilt[:, [0, 3]] = 100.0
    assert TRAINING.soft_loss((theirs,), (spoilt,), batch, 2.0).item() == pytest.approx(0.0, abs=1e-7)


def test_the_score_in_training_is_that_of_the_device() -> None:
    found = [[(7, 7), (7, 8), (9, 9)], [(4, 3)], [(5, 5), (6, 6)]]
    table = SPEC.metrics["accuracy"].table([True] * 3, found)
    assert (
        TRAINING.score("accuracy", [True] * 3, found) == pytest.approx(SPEC.metrics["accuracy"].figure(table)) == 4 / 6
    )


def test_names_for_labels_are_refused() -> None:
    assert TRAINING.read_labels(DataSettings(), {"train": []}, Path("d"), ["a", "b"]).names == []
    with pytest.raises(DataError, match=r"data\.label_names is \{'0': 'no'\}"):
        TRAINING.read_labels(DataSettings(label_names={"0": "no"}), {}, Path("d"), None)


def logits(model: Any, types: bool = True) -> torch.Tensor:
    more = {"token_type_ids": torch.zeros_like(IDS)} if types else {}
    with torch.no_grad():
        found: torch.Tensor = model.eval()(input_ids=IDS, attention_mask=SEEN, **more).logits
    return found


def pruned(folder: Path, task: str = "fill-mask") -> Any:
    model = checkpoints.load_model(folder, task, [])
    draw = torch.Generator().manual_seed(5)
    layers = range(model.config.num_hidden_layers)
    scores = Importance(
        [torch.rand(4, generator=draw) for _ in layers], [torch.rand(64, generator=draw) for _ in layers]
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


@pytest.fixture(scope="module")
def shallow_language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of one layer."""
    return make_family(tmp_path_factory.mktemp("shallow"), "bert", "MaskedLM", num_hidden_layers=1)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "is_pruned"), [("fast", True), ("fast", False), ("plain", True)])
def test_the_graph_has_the_scores_of_every_token(
    shallow_language_model: Path, tmp_path: Path, kind: str, is_pruned: bool
) -> None:
    folder = shallow_language_model
    model = (pruned(folder) if is_pruned else checkpoints.load_model(folder, "fill-mask", [])).eval()
    graph = tmp_path / "model.onnx"
    if kind == "fast":
        names = export_fast(model, TRAINING, ["logits"], 1, 32, graph)
    else:
        names = export_plain(model, TRAINING, ["logits"], graph)
    rows = [Encoded(item["input_ids"], item["token_type_ids"]) for item in items(3, 32, 5, 17, 8, 2, 30, 12)]
    reference = list(torch_outputs(model, rows, TRAINING, FillMask.spec.outputs))
    assert reference[1][0].shape == (32, model.config.vocab_size)
    session = OnnxSession(graph, 1, "CPUExecutionProvider")
    assert compare(reference, session, names, rows, FillMask.spec.outputs).max_difference <= 1e-5


@pytest.mark.slow
@pytest.mark.int8
def test_int8_of_a_head_that_shares_the_word_table_can_be_taken_back(
    shallow_language_model: Path, tmp_path: Path
) -> None:
    model = checkpoints.load_model(shallow_language_model, "fill-mask", []).eval()
    full, static = tmp_path / "full.onnx", tmp_path / "static.onnx"
    names = export_fast(model, TRAINING, ["logits"], 1, 32, full)
    rows = [Encoded(item["input_ids"], item["token_type_ids"]) for item in items(3, 32, 5, 17)]
    quantize_static(fast_module(model, TRAINING, 1, 32), Calibration(rows), ["logits"], 32, choice_here(), static)
    folded, quantized = load_folded(full), onnx.load(static)
    everything = [*weight_products(folded), *head_matmuls(folded)]
    assert len(everything) == 6 + 2
    release(quantized, folded, everything)
    onnx.save(quantized, tmp_path / "back.onnx")
    sessions = [OnnxSession(path, 1, "CPUExecutionProvider") for path in (full, static, tmp_path / "back.onnx")]
    reference, coarse, back = ([session.run(padded_inputs([row], names)) for row in rows] for session in sessions)
    assert relative_error(reference, coarse) > 1e-8
    assert relative_error(reference, back) < 1e-10


@pytest.mark.parametrize(
    ("extra", "mask", "says"),
    [
        (
            ["<m>"],
            "<m>",
            r"mask_token is '<m>', but a bundle uses the vocabulary's '\[MASK\]'; exchange the two",
        ),
        (["<mask>"], "<mask>", r"mask_token is '<mask>', but a bundle uses the vocabulary's '\[MASK\]'"),
    ],
)
def test_a_mask_that_a_bundle_would_not_find_is_refused(extra: list[str], mask: str, says: str, tmp_path: Path) -> None:
    tokenizer = make_tokenizer("bert")
    check_mask(tmp_path, tokenizer)
    tokenizer.add_tokens(extra)
    tokenizer.mask_token = mask
    with pytest.raises(CheckpointError, match=says):
        check_mask(tmp_path, tokenizer)
    pieces = [piece for piece in WORDPIECES if piece != "[MASK]"]
    other = transformers.BertTokenizer(vocab={piece: at for at, piece in enumerate([*pieces, "<m>"])}, mask_token="<m>")
    with pytest.raises(CheckpointError, match=r"mask_token is '<m>', but a bundle only knows \[MASK\] and <mask>"):
        check_mask(tmp_path, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_fills_in_its_own_mask(family: str, tmp_path: Path) -> None:
    folder = make_family(tmp_path / family, family, "MaskedLM")
    assert checkpoints.has_head(folder, "fill-mask", [])
    model = checkpoints.load_model(folder, "fill-mask", []).eval()
    tokenizer = checkpoints.load_tokenizer(folder)
    tokenizer.backend_tokenizer.save(str(tmp_path / "tokenizer.json"))
    manifest = {"head": {"settings": {}}}
    task = FillMask(facts_of(manifest), TextEncoder(tmp_path / "tokenizer.json", 32))
    assert task.mask() == (tokenizer.mask_token, tokenizer.mask_token_id)
    (window,) = task.encode("a good [MASK] and a warm meal")
    assert window.ids.count(tokenizer.mask_token_id) == 1
    (outputs,) = torch_outputs(model, [window], TRAINING, FillMask.spec.outputs)
    answer = task.decode("", [window], [outputs])
    assert len(answer.masks[0]) == 5
    (asked,) = task.encode(("a good film",))
    (outputs,) = torch_outputs(model, [asked], TRAINING, FillMask.spec.outputs)
    ((hidden, likeliest),) = task.predicted(task.decode(("",), [asked], [outputs]))
    assert [hidden] == list(asked.masks.values())
    assert 0 <= likeliest < model.config.vocab_size


def loss(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return TRAINING.hard_loss(TRAINING.outputs(model(**model_inputs(batch))), batch)


@pytest.mark.slow
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
        train(model, Training("t", rows, lambda model: 0.5, settings, "accuracy", 3, folder, 0, TRAINING.collate), loss)
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
