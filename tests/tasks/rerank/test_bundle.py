"""Cross-encoders of several families: rankings and scores equal those of sentence-transformers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from command_line import Run
from family_checkpoints import PAIRED, make_whole
from safetensors.torch import load_file, save_file

import edgebert
from edgebert.cli import main
from edgebert.compress.inferred import Asked, infer
from edgebert.tasks.rerank.predict import RerankModel

SIGMOID, IDENTITY = "torch.nn.modules.activation.Sigmoid", "torch.nn.modules.linear.Identity"
QUERY = "a good film"
DOCUMENTS = ["a great film", "bad", "the story was dull and so very cold", "a warm meal", "it was a film", "good " * 70]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def command(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return (code, *capsys.readouterr())

    return command


def cross_encoder(folder: Path, family: str = "bert", activation: str | None = SIGMOID, **more: Any) -> Path:
    """A folder with a head of one output, whose scores differ as much as those of a trained one."""
    make_whole(folder, family, **{"num_labels": 1, "num_hidden_layers": 2} | more)
    file = folder / "model.safetensors"
    weights = load_file(file)
    # The last matrix of a head; with random weights, all scores would be close together.
    last = next(name for name in ("classifier.weight", "classifier.out_proj.weight") if name in weights)
    save_file({**weights, last: 20 * weights[last]}, file, metadata={"format": "pt"})
    path = folder / "config.json"
    entry = {} if activation is None else {"sentence_transformers": {"activation_fn": activation}}
    path.write_text(json.dumps(json.loads(path.read_text()) | entry))
    return folder


def theirs(folder: Path, **options: Any) -> Any:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not installed")
    return sentence_transformers.CrossEncoder(str(folder), device="cpu", **{"max_length": 64} | options)


def opened(run: Run, folder: Path, out: Path, *more: object, **how: Any) -> RerankModel:
    code, _, err = run("export", folder, "--out", out, *more)
    assert code == 0, err
    model: RerankModel = edgebert.load(out, **how)
    return model


def same_ranking(ours: RerankModel, reference: Any, documents: list[str], top_k: int | None = None) -> None:
    """Check scores within 1e-5, and the order of documents except for scores that are as close."""
    expected = reference.rank(QUERY, documents, top_k=top_k)
    found = ours.rank(QUERY, documents, top_k=top_k)
    assert len(found) == len(expected)
    assert np.abs([one.score - other["score"] for one, other in zip(found, expected, strict=True)]).max() < 1e-5
    scores = {other["corpus_id"]: other["score"] for other in reference.rank(QUERY, documents)}
    for one, other in zip(found, expected, strict=True):
        assert one.index == other["corpus_id"] or abs(scores[one.index] - other["score"]) < 1e-5
        assert one.text == documents[one.index]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "activation"),
    [
        ("bert", SIGMOID),
        ("distilbert", IDENTITY),
        ("roberta", SIGMOID),
        ("xlm-roberta", IDENTITY),
        ("electra", IDENTITY),
        ("mpnet", SIGMOID),
    ],
)
def test_a_bundle_ranks_as_its_cross_encoder_does(family: str, activation: str, run: Run, tmp_path: Path) -> None:
    folder = cross_encoder(tmp_path / "model", family, activation)
    ours = opened(run, folder, tmp_path / "bundle", "--precision", "fp32")
    reference = theirs(folder)
    pairs = [*PAIRED, *((QUERY, document) for document in DOCUMENTS)]
    scores = [answer.score for answer in ours(pairs)]
    assert np.abs(np.array(scores) - reference.predict(pairs)).max() < 1e-5
    assert np.ptp(scores) > 1e-3
    same_ranking(ours, reference, DOCUMENTS)
    same_ranking(ours, reference, DOCUMENTS, top_k=2)
    if activation == SIGMOID:
        (answer,) = transformers.pipeline("text-classification", str(folder), device="cpu")(
            [{"text": pairs[0][0], "text_pair": pairs[0][1]}]
        )
        assert ours.pipeline(pairs[0]) == {"label": answer["label"], "score": pytest.approx(answer["score"], abs=1e-5)}
    assert [one.index for one in ours.rank(QUERY, DOCUMENTS) if one.truncated] == [5]


@pytest.mark.slow
def test_a_folder_of_version_6_is_a_reranker(run: Run, tmp_path: Path) -> None:
    plain = make_whole(tmp_path / "model", "bert", num_labels=1, num_hidden_layers=1)
    reference = theirs(plain, max_length=16, activation_fn=torch.nn.Identity())
    reference.save_pretrained(str(tmp_path / "saved"))
    code, out, err = run("export", tmp_path / "saved", "--out", tmp_path / "bundle", "--precision", "fp32")
    assert code == 0, err
    assert "task: rerank (" in err
    assert "score: the output itself (" in err
    assert "try it: edgebert predict" in out
    assert '--text-pair "a document"' in out
    same_ranking(edgebert.load(tmp_path / "bundle"), reference, DOCUMENTS)


@pytest.mark.slow
def test_a_head_of_one_output_without_a_mark_is_a_reranker_if_that_is_asked_for(run: Run, tmp_path: Path) -> None:
    folder = cross_encoder(tmp_path / "model", "xlm-roberta", None)
    ours = opened(run, folder, tmp_path / "bundle", "--task", "rerank", "--precision", "fp32")
    same_ranking(ours, theirs(folder), DOCUMENTS)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_int8_ranks_by_the_core_and_onnxruntime_nearly_as_fp32_does(family: str, run: Run, tmp_path: Path) -> None:
    folder = cross_encoder(tmp_path / "model", family)
    exact = {one["corpus_id"]: one["score"] for one in theirs(folder).rank(QUERY, DOCUMENTS)}
    opened(run, folder, tmp_path / "bundle")
    for runtime in ("onnxruntime", "core"):
        ranked = edgebert.load(tmp_path / "bundle", runtime=runtime).rank(QUERY, DOCUMENTS)
        assert max(abs(one.score - exact[one.index]) for one in ranked) < 0.2 * np.ptp(list(exact.values()))
        assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)


def test_the_folder_says_whether_a_head_of_one_output_ranks(tmp_path: Path) -> None:
    marked, plain = cross_encoder(tmp_path / "marked"), cross_encoder(tmp_path / "plain", activation=None)
    found = infer(str(marked), marked, Asked(), "texts.jsonl")
    assert (found.recipe.task, found.recipe.data.text_pair, found.recipe.head) == ("rerank", "text_pair", {})
    facts = {what: (value, stated) for what, value, stated in found.facts}
    assert facts["task"][1].startswith(
        f"{marked / 'config.json'}: BertForSequenceClassification, 1 output, a cross-enc"
    )
    assert facts["score"] == ("sigmoid of the output", str(marked / "config.json"))
    asked = infer(str(plain), plain, Asked(task="rerank"), "texts.jsonl")
    assert dict((what, value) for what, value, _ in asked.facts)["score"] == "sigmoid of the output"
    by_default = infer(str(plain), plain, Asked(), "texts.jsonl")
    assert (by_default.recipe.task, by_default.recipe.data.text_pair) == ("regression", "")
    assert "--task rerank if it scores documents" in by_default.facts[0][2]
    scores = infer(str(marked), marked, Asked(task="regression"), "texts.jsonl")
    assert (scores.recipe.task, scores.recipe.data.text_pair) == ("regression", "text_pair")


@pytest.mark.parametrize(
    ("outputs", "activation", "options", "told"),
    [
        (3, None, (), "has no head for rerank (classifier.weight has the shape [3, 32], but [1, 32] is needed)"),
        (1, "torch.nn.modules.activation.Tanh", (), "activation is 'Tanh', which task 'rerank' does not compute"),
        (1, SIGMOID, ("--labels", "a"), "--labels names outputs, but rerank has none with a name; leave it out"),
        (1, SIGMOID, ("--pooling", "mean"), "but rerank pools nothing; leave it out"),
        (1, SIGMOID, ("--set", "head.activation=none"), "head.activation is 'none', but the cross-encoder's is 'sigm"),
    ],
)
def test_what_is_no_reranker_is_refused_in_a_line(
    outputs: int, activation: str | None, options: tuple[str, ...], told: str, run: Run, tmp_path: Path
) -> None:
    folder = cross_encoder(tmp_path / "model", "bert", activation, num_labels=outputs, num_hidden_layers=1)
    code, out, err = run("export", folder, "--task", "rerank", "--out", tmp_path / "bundle", *options)
    assert (code, out) == (2, "")
    assert told in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (tmp_path / "bundle").exists()
