"""A low-rank word table: the best approximation; saving, loading, and export as a lookup and a matmul."""

from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from family_checkpoints import FAMILIES, make_family

from edgebert.compress import arch, checkpoint
from edgebert.compress.low_rank import LowRankEmbedding, factor_table, noted_rank
from edgebert.compress.student import check_width
from edgebert.compress.validation import torch_outputs
from edgebert.errors import SettingsError
from edgebert.exporters.onnx import export_fast
from edgebert.exporters.parity import compare
from edgebert.runtime.encode import Encoded
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

TASK, LABELS, RANK = "text-classification", ["a", "b"], 6
IDS = torch.randint(5, 40, (6, 12), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1, 7:] = 0


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One folder per family, with a head of two labels; treat them as read-only."""
    return {family: make_family(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


def load(folder: Path) -> Any:
    return checkpoint.load_model(folder, TASK, LABELS).eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, attention_mask=MASK).logits
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_a_table_that_is_of_low_rank_is_factored_exactly(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    table = arch.words(model).weight
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        rows = torch.randn(len(table), RANK, generator=draw)
        table.copy_(rows @ torch.randn(RANK, table.shape[1], generator=draw))
    expected = logits(model)
    assert factor_table(model, RANK) == pytest.approx(1.0, abs=1e-9)
    assert (logits(model) - expected).abs().max().item() <= 1e-5


def test_of_all_tables_of_a_rank_it_is_the_nearest(folders: dict[str, Path]) -> None:
    model = load(folders["bert"])
    table = arch.words(model).weight.detach().clone()
    kept = factor_table(model, RANK)
    words = arch.words(model)
    assert isinstance(words, LowRankEmbedding)
    assert (words.table.weight.shape, words.widen.weight.shape) == ((len(table), RANK), (32, RANK))
    product = words(torch.arange(len(table))[None])[0].detach()
    strengths = torch.linalg.svdvals(table)
    error = (product - table).square().sum().item()
    assert error == pytest.approx(strengths[RANK:].square().sum().item(), rel=1e-4)
    assert kept == pytest.approx(1 - error / table.square().sum().item(), abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_saved_and_loaded_again_bit_for_bit(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders[family])
    factor_table(model, RANK)
    # Loading registers what a family's embeddings need; the model here had its table replaced after that.
    tokenizer = checkpoint.load_tokenizer(folders[family])
    checkpoint.save_model(model, tokenizer, tmp_path / "once")
    once = load(tmp_path / "once")
    checkpoint.save_model(once, tokenizer, tmp_path / "twice")
    twice = load(tmp_path / "twice")
    assert noted_rank(twice.config) == RANK
    weights, others = model.state_dict(), twice.state_dict()
    assert weights.keys() == others.keys()
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())
    assert torch.equal(logits(once), logits(twice))
    assert arch.words(twice).padding_idx == twice.config.pad_token_id
    assert (tmp_path / "once" / "model.safetensors").stat().st_size < (
        folders[family] / "model.safetensors"
    ).stat().st_size


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_no_answer(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders[family])
    factor_table(model, RANK)
    checkpoint.save_model(model, checkpoint.load_tokenizer(folders[family]), tmp_path)
    model = load(tmp_path)
    ids, mask = IDS[:1].repeat(2, 1), torch.ones(2, 12, dtype=torch.long)
    mask[1, 7:] = 0
    ids[1, 7:] = model.config.pad_token_id
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask).logits[1]
        alone = model(input_ids=ids[1:, :7], attention_mask=mask[1:, :7]).logits[0]
    assert (padded - alone).abs().max().item() <= 1e-5


@pytest.mark.slow
def test_the_graph_looks_up_narrow_rows_and_widens_them(tmp_path: Path) -> None:
    model = load(make_family(tmp_path / "model", "bert", num_hidden_layers=1))
    factor_table(model, RANK)
    path = tmp_path / "model.onnx"
    names = export_fast(model, TRAINING, ["logits"], 1, 32, path)
    graph = onnx.load(path).graph
    shapes = {constant.name: list(constant.dims) for constant in graph.initializer}
    lookups = [shapes.get(node.input[0]) for node in graph.node if node.op_type == "Gather"]
    assert [model.config.vocab_size, RANK] in lookups
    assert [RANK, 32] in [shapes.get(node.input[1]) for node in graph.node if node.op_type == "MatMul"]
    assert [model.config.vocab_size, 32] not in shapes.values()
    windows = [Encoded([2, *range(5, 5 + length), 3], [0] * (length + 2)) for length in (1, 9, 30, 4)]
    reference = list(torch_outputs(model, windows, TRAINING, {"logits": False}))
    session = OnnxSession(path, 1, "CPUExecutionProvider")
    assert compare(reference, session, names, windows, {"logits": False}).max_difference <= 1e-5


def test_a_rank_that_is_none_is_refused(folders: dict[str, Path]) -> None:
    model = load(folders["bert"])
    with pytest.raises(SettingsError, match=r"vocabulary\.rank is 32, but the word table is 32 wide"):
        factor_table(model, 32)
    factor_table(model, 8)
    with pytest.raises(SettingsError, match="the word table has the rank 8 already"):
        factor_table(model, 4)
    with pytest.raises(SettingsError, match="word table is of low rank; narrow it before"):
        check_width(model.config, 16)
