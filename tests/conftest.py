"""Shared fixtures: a tiny BERT made from a seed, tiny data, and bundles that are exported once per session."""

import gc
import json
import logging
import os
import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipes import splits, whole_chain
from shared_work import Traces, folder_of_the_run, once
from this_machine import start_children_under

if "EDGEBERT_TEST_EMULATOR" in os.environ:
    start_children_under(os.environ["EDGEBERT_TEST_EMULATOR"])
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Some tests import onnxruntime before edgebert.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# Matrices of 32 columns are too small for two threads: on a busy machine the threads only spin and wait.
os.environ.setdefault("OMP_NUM_THREADS", "1")
logging.getLogger("torchao").setLevel(logging.ERROR)

NICE, NASTY = ["good", "great", "fine", "lovely", "warm"], ["bad", "awful", "dull", "poor", "cold"]
NEUTRAL = ["film", "play", "story", "song", "meal", "the", "a", "is", "was", "and", "very", "so"]
WORDS = [*NICE, *NASTY, *NEUTRAL]


def sentence(random_: random.Random, positive: bool) -> str:
    words = random_.choices(NEUTRAL, k=random_.randint(2, 12))
    words.insert(random_.randrange(len(words) + 1), random_.choice(NICE if positive else NASTY))
    return " ".join(words)


def make_checkpoint(folder: Path, *, layers: int = 3, head: int = 0, seed: int = 0) -> Path:
    """A BERT folder with random weights: 32 wide, 4 heads, 64 neurons; with a head of `head` labels if not 0."""
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{c}" for c in letters)]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=head or 2,
        initializer_range=0.08,
    )
    torch.manual_seed(seed)
    model = BertForSequenceClassification(config) if head else BertModel(config)
    model.save_pretrained(folder)
    return folder


def write_tsv(path: Path, rows: int, seed: int) -> Path:
    random_ = random.Random(seed)
    lines = ["text\tlabel"]
    for row in range(rows):
        positive = row % 2 == 0
        lines.append(f"{sentence(random_, positive)}\t{'pos' if positive else 'neg'}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(autouse=True)
def _notes_on_stderr() -> Iterator[None]:
    """Under a command, log lines go to standard error: tests read them with `capsys`."""
    from edgebert.streams import logged

    with logged():
        yield


@pytest.fixture(scope="session")
def frozen() -> set[int]:
    """Number of modules that were imported when their objects were frozen for the garbage collector."""
    return set()


@pytest.fixture(scope="module", autouse=True)
def _little_to_collect(frozen: set[int]) -> None:
    """Keep the collector of reference cycles off what was imported: accelerate calls it once a training.

    Tracing a graph makes objects by the million, so that it would run by itself often, too.
    """
    if len(sys.modules) not in frozen:
        frozen.add(len(sys.modules))
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def traces(tmp_path_factory: pytest.TempPathFactory) -> Traces:
    """Graphs traced in this run, by any worker."""
    traces = Traces(folder_of_the_run(tmp_path_factory) / "traces")
    if "torch.onnx" in sys.modules:  # else the tests that were collected need no PyTorch, or few do
        traces.install()
    return traces


@pytest.fixture
def traced_anew(traces: Traces) -> Iterator[None]:
    """Disable the shared graphs, for tests of tracing itself: the same model must give the same graph."""
    traces.fresh = True
    yield
    traces.fresh = False


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny BERT without a head; treat it as read-only."""
    return once(folder_of_the_run(tmp_path_factory) / "checkpoint", make_checkpoint)


@pytest.fixture(scope="session")
def shallow_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny BERT of one layer without a head: its graph is made in a third of the time."""
    return make_checkpoint(tmp_path_factory.mktemp("shallow"), layers=1)


@pytest.fixture(scope="session")
def classifier_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny BERT with a head of two labels."""
    return make_checkpoint(tmp_path_factory.mktemp("classifier"), head=2)


@pytest.fixture(scope="session")
def classifier_graph(tmp_path_factory: pytest.TempPathFactory, classifier_checkpoint: Path) -> Path:
    """The full-precision graph of the tiny BERT, rewritten, for up to 32 tokens; treat it as read-only."""
    from edgebert.compress import checkpoint
    from edgebert.exporters.onnx import export_fast
    from edgebert.tasks.training_table import training_task

    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    graph = tmp_path_factory.mktemp("classifier-graph") / "model.onnx"
    export_fast(model, training_task("text-classification"), ["logits"], 1, 32, graph)
    return graph


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train.tsv (192 rows), validation.tsv (64), test.tsv (64): is a nice or a nasty word in the sentence?"""

    def write(folder: Path) -> None:
        for name, rows, seed in (("train", 192, 1), ("validation", 64, 2), ("test", 64, 3)):
            write_tsv(folder / f"{name}.tsv", rows, seed)

    return once(folder_of_the_run(tmp_path_factory) / "data", write)


RECIPE = whole_chain(
    "tiny", "text-classification", splits("tsv", max_length=32), export={"formats": ["onnx", "openvino"]}
)


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A recipe with every stage for the tiny checkpoint."""
    text = RECIPE.replace("CHECKPOINT", str(checkpoint))
    folder = once(folder_of_the_run(tmp_path_factory) / "recipe", lambda to: (to / "tiny.toml").write_text(text))
    return folder / "tiny.toml"


@pytest.fixture(scope="session")
def first_built(tmp_path_factory: pytest.TempPathFactory, recipe_file: Path, data_dir: Path) -> Path:
    """The bundle of all stages, exported by one worker: `built` is a copy for this worker."""

    def export(folder: Path) -> None:
        from edgebert.cli import main

        command = ["export", str(recipe_file), "--data-dir", str(data_dir), "--out", str(folder / "tiny")]
        assert main(command) == 0

    return once(folder_of_the_run(tmp_path_factory) / "built", export) / "tiny"


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, first_built: Path) -> Path:
    """The bundle of all stages; treat it as read-only. Its stage bundles and its work folder are beside it."""
    return shutil.copytree(first_built.parent, tmp_path_factory.mktemp("built") / "of") / first_built.name


@pytest.fixture
def bundle_copy(built: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage."""
    return Path(shutil.copytree(built, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def manifest(built: Path) -> dict:
    return json.loads((built / "manifest.json").read_text())
