"""Token classification in training: labels of files and heads, losses, and all stages on a tiny model."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("seqeval")

import onnx
import torch
from manifests import facts_of
from recipes import splits, whole_chain
from torch.nn import functional

import edgebert
from edgebert.bundle import read_document, read_manifest
from edgebert.cli import main
from edgebert.compress.head_tags import scheme_of, written_plainly
from edgebert.data.examples import Example
from edgebert.data.tags import tag_set
from edgebert.data.words import Words
from edgebert.errors import DataError
from edgebert.exporters.quantize.products import head_matmuls
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.tasks.token_classification.predict import TokenClassification
from edgebert.tasks.token_classification.spec import SPEC
from edgebert.tasks.token_classification.train import UNKNOWN, UNREAD
from edgebert.tasks.training_table import training_task

TRAINING = training_task("token-classification")

NICE, NASTY = ["good", "great", "fine", "lovely", "warm"], ["bad", "awful", "dull", "poor", "cold"]
NEUTRAL = ["film", "play", "story", "song", "meal", "the", "a", "is", "was", "and"]


def row(*tags: str, line: int = 1) -> Example:
    return Example(" ".join("x" * len(tags)), None, tags, line, "d.conll", tuple("x" * len(tags)))


def labels_of(
    train: list[Example], head: list[str] | None = None, names: Any = None, scheme: Any = "BIO", **more: Any
) -> Any:
    data = DataSettings(train="d.conll", label_names=names or {})
    splits = {"train": train, "validation": [], "test": [], **more}
    task = training_task("token-classification", {"scheme": scheme})
    return task.read_labels(data, splits, Path("data"), head)


def test_labels_are_every_tag_of_the_types_of_training() -> None:
    labels = labels_of([row("O", "B-b"), row("B-a", "I-a")], validation=[row("B-b", "I-b")])
    assert labels.values == labels.names == ["O", "B-a", "I-a", "B-b", "I-b"]


def test_label_names_choose_types_order_and_what_is_shown() -> None:
    labels = labels_of([row("B-b")], names={"b": "place", "a": "person"})
    assert labels.values == ["O", "B-b", "I-b", "B-a", "I-a"]
    assert labels.names == ["O", "B-place", "I-place", "B-person", "I-person"]


def test_the_tags_of_a_head_that_is_kept_stand() -> None:
    head = ["B-PER", "I-PER", "O"]
    assert labels_of([row("O", "B-PER")], head).values == head
    named = labels_of([row("B-p", "I-p", "O")], head, {"p": "PER"})
    assert (named.values, named.names) == (["B-p", "I-p", "O"], head)


@pytest.mark.parametrize(
    ("head", "names", "tags", "scheme"),
    [
        (["O", "I-PER", "I-LOC"], {}, ["O", "I-PER", "I-LOC"], "IOB1"),
        (["O", "B-PER", "I-PER"], {}, ["O", "B-PER", "I-PER"], "BIO"),
        (["B_PER", "I_PER", "O"], {}, ["B-PER", "I-PER", "O"], "BIO"),
        (["O", "B-a_b", "I-a_b"], {}, ["O", "B-a_b", "I-a_b"], "BIO"),
        (["O", "B-A", "I-A", "L-A", "U-A"], {}, ["O", "B-A", "I-A", "E-A", "S-A"], "BIOES"),
        (["O", "B-A", "I-A", "E-A", "S-A"], {}, ["O", "B-A", "I-A", "E-A", "S-A"], "BIOES"),
        (["O", "B", "I"], {}, ["O", "B-ENTITY", "I-ENTITY"], "BIO"),
        (
            ["LABEL_0", "LABEL_1", "LABEL_2"],
            {"LABEL_0": "O", "LABEL_1": "B-PER", "LABEL_2": "I-PER"},
            ["O", "B-PER", "I-PER"],
            "BIO",
        ),
        (["NOUN", "VERB", "X"], {"NOUN": "S-NOUN", "VERB": "S-VERB", "X": "O"}, ["S-NOUN", "S-VERB", "O"], "BIOES"),
        (["NOUN", "VERB"], {}, ["B-NOUN", "B-VERB"], "WORDS"),
        (["NOUN", "VERB"], {"VERB": "O"}, ["I-NOUN", "O"], "IOB1"),
        (["O", "PER", "LOC"], {}, ["O", "I-PER", "I-LOC"], "IOB1"),
        (["O", "PER", "X"], {"PER": "B-PER"}, ["O", "B-PER", "B-X"], "BIO"),
        (["O", "B-A", "I-A", "X", "[CLS]", "[SEP]"], {}, ["O", "B-A", "I-A", "B-X", "B-[CLS]", "B-[SEP]"], "BIO"),
        (["O", "B-A", "E-A", "I-A", "S-A", "X"], {}, ["O", "B-A", "E-A", "I-A", "S-A", "S-X"], "BIOES"),
        (["O", "B-A", "I-A", "LABEL_3"], {}, ["O", "B-A", "I-A", "LABEL_3"], None),
        (["LABEL_0", "LABEL_1"], {}, ["LABEL_0", "LABEL_1"], None),
        (["B-PER", "I-PER"], {}, ["B-PER", "I-PER"], None),
    ],
)
def test_tags_of_a_head_are_read_however_they_are_written(
    head: list[str], names: dict[str, str], tags: list[str], scheme: str | None
) -> None:
    assert written_plainly(head, names) == tags
    assert scheme_of(tags) == scheme
    if scheme is not None:
        assert labels_of([], head, names, scheme=scheme).names == tags


def test_a_scheme_under_which_nothing_begins_is_refused_with_the_one_that_fits() -> None:
    says = 'has I-LOC but no B-LOC, so in BIO no LOC entity can begin; set head.scheme to "IOB1"'
    with pytest.raises(DataError, match=says):
        labels_of([], ["O", "B-PER", "I-PER", "I-LOC"])
    assert labels_of([], ["O", "B-PER", "I-PER", "I-LOC"], scheme="IOB1").names[3] == "I-LOC"


def test_names_that_match_nothing_of_a_head_are_refused() -> None:
    with pytest.raises(DataError, match="'PERSON' = 'person' matches no tag and no type"):
        labels_of([], ["O", "B-PER", "I-PER"], {"PERSON": "person"})


@pytest.mark.parametrize(("scheme", "breaks"), [("IOB1", False), ("BIO", True)])
def test_a_scheme_that_the_likeliest_tags_break_is_said(scheme: str, breaks: bool) -> None:
    manifest = {"labels": ["O", "B-a", "I-a"], "head": {"settings": {"scheme": scheme}}, "data": {}}
    task: Any = TokenClassification(facts_of(manifest), None)
    task.encode = lambda given: [Encoded([0] * 5, [0] * 5, words=[None, 0, 1, 2, None])]
    inside = np.array([[4.0, 0, 0], [0, 0, 9], [9, 0, 0], [0, 0, 9], [4, 0, 0]], dtype=np.float32)
    said = TRAINING.observed(task, ["a b c"], [[(inside,)]])
    assert ("the most likely tags break BIO in 1 of 1 texts" in said) is breaks


@pytest.mark.parametrize(
    ("train", "more", "message"),
    [
        ([row("O"), row("O")], {}, "data/d.conll: no entity in 2 rows; expected tags other than O"),
        (
            [row("B-a"), Example("x y", None, None, 3, "d.txt")],
            {},
            "d.txt: line 3: no tags for 'x y'; expected one tag per",
        ),
        (
            [row("B-a")],
            {"head": ["neg", "pos"]},
            "id2label in config.json: the checkpoint's head has 'neg', 'pos', expected BIO tags",
        ),
        (
            [row("B-a")],
            {"head": ["B-a", "I-a"]},
            "id2label in config.json: the checkpoint's head has no O, expected BIO tags (O",
        ),
    ],
)
def test_data_that_makes_no_labels_is_refused(train: list[Example], more: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(train, **more)
    assert str(caught.value).startswith(message)


def test_scores_are_the_device_s_own_metrics() -> None:
    expected = [("B-a", "I-a", "O"), ("O", "B-b")]
    predicted = [("B-a", "I-a", "O"), ("B-b", "O")]
    for name, metric in SPEC.metrics.items():
        found = TRAINING.score(name, expected, predicted)
        assert found == pytest.approx(metric.figure(metric.table(expected, predicted)), abs=1e-12) == 0.5
        assert TRAINING.score(name, [("O",)], [("O",)]) == 0.0


def test_targets_stand_at_first_pieces_where_the_device_reads_them() -> None:
    labels = tag_set(["a"], "BIO")
    task = TokenClassification(facts_of({"labels": labels, "head": {"settings": {}}, "data": {}}), None)
    windows = [
        Encoded([1, 5, 6, 7, 2], [0] * 5, words=[None, 0, 1, 1, None]),
        Encoded([1, 6, 7, 8, 2], [0] * 5, words=[None, 1, 1, 2, None]),
    ]
    example = Example("x y z", None, ("B-a", "I-a", "O"), 1, words=("x", "y", "z"))
    assert task.given(example) == Words(("x", "y", "z"))
    first, second = (found["labels"] for found in TRAINING.targets(task, example, windows))
    assert first == [UNREAD, 1, 2, UNREAD, UNREAD]
    assert second == [UNREAD, UNREAD, UNREAD, 0, UNREAD]
    raw = Example("x y z", None, None, 1)
    assert [found["labels"] for found in TRAINING.targets(task, raw, windows)] == [
        [UNREAD, UNKNOWN, UNKNOWN, UNREAD, UNREAD],
        [UNREAD, UNREAD, UNREAD, UNKNOWN, UNREAD],
    ]


def test_losses_count_the_tokens_that_are_read() -> None:
    random_ = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(2, 3, 4, generator=random_, requires_grad=True) for _ in range(2))
    batch = {"labels": torch.tensor([[UNREAD, 2, UNREAD], [UNKNOWN, 0, UNREAD]])}
    hard = TRAINING.hard_loss((ours,), batch)
    expected = functional.cross_entropy(torch.stack([ours[0, 1], ours[1, 1]]), torch.tensor([2, 0]))
    torch.testing.assert_close(hard, expected)
    soft = TRAINING.soft_loss((ours,), (theirs,), batch, 2.0)
    read = [(0, 1), (1, 0), (1, 1)]
    terms = [(ours[at] / 2).log_softmax(-1) - (theirs[at] / 2).log_softmax(-1) for at in read]
    shares = [(theirs[at] / 2).softmax(-1) for at in read]
    divergence = -sum((share * term).sum() for share, term in zip(shares, terms, strict=True)) / 3 * 4
    torch.testing.assert_close(soft, divergence)
    assert TRAINING.soft_loss((ours,), (ours,), batch, 2.0).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("label", [UNREAD, UNKNOWN])
def test_a_batch_without_tags_has_no_hard_loss_and_still_a_gradient(label: int) -> None:
    ours = torch.randn(1, 2, 3, requires_grad=True)
    batch = {"labels": torch.full((1, 2), label)}
    loss = TRAINING.hard_loss((ours,), batch)
    if label == UNREAD:
        loss = loss + TRAINING.soft_loss((ours,), (ours.detach() + 1,), batch, 1.0)
    loss.backward()
    assert loss.item() == 0.0
    assert ours.grad is not None
    assert not ours.grad.any()


def sentence(random_: random.Random) -> tuple[list[str], list[str]]:
    """A nice word is an entity of one type, a nasty one of another; a second word of the same list may continue it."""
    words: list[str] = []
    tags: list[str] = []
    for _ in range(random_.randint(2, 6)):
        kind, pool = random_.choice([("", []), ("", []), ("nice", NICE), ("nasty", NASTY)])
        if kind:
            count = random_.randint(1, 2)
            words += [random_.choice(pool[:3]), random_.choice(pool[3:])][:count]
            tags += [f"B-{kind}", f"I-{kind}"][:count]
        words.append(random_.choice(NEUTRAL))
        tags.append("O")
    return words, tags


def write_conll(path: Path, rows: int, seed: int) -> None:
    random_ = random.Random(seed)
    texts = ["".join(f"{word}\t{tag}\n" for word, tag in zip(*sentence(random_), strict=True)) for _ in range(rows)]
    path.write_text("\n".join(texts))


RECIPE = whole_chain(
    "tags",
    "token-classification",
    splits("conll", unlabelled=["more.txt"], max_length=24),
    head={"stride": 8},
    distill={"hidden_size": 24},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """Data, and the bundle `tags` of all stages: narrower, pruned and quantized."""
    folder = tmp_path_factory.mktemp("tags")
    for name, rows, seed in (("train", 192, 1), ("validation", 48, 2), ("test", 48, 3)):
        write_conll(folder / f"{name}.conll", rows, seed)
    texts = [" ".join(sentence(random.Random(seed))[0]) for seed in range(100, 132)]
    (folder / "more.txt").write_text("\n".join(texts) + "\n")
    (folder / "tags.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "tags.toml"), "--out", str(folder / "tags")]) == 0
    return folder


@pytest.mark.slow
def test_the_bundle_knows_tags_scheme_and_quality(folder: Path) -> None:
    manifest = read_document(folder / "tags")
    assert manifest["labels"] == ["O", "B-nasty", "I-nasty", "B-nice", "I-nice"]
    assert manifest["outputs"] == ["logits"]
    assert manifest["head"]["settings"]["scheme"] == "BIO"
    assert manifest["metrics"]["test"]["metric"] == "entity_f1"
    assert manifest["metrics"]["test"]["n"] == 48
    assert manifest["metrics"]["test"]["value"] > 0.8
    assert manifest["precision"] == "int8-dynamic"
    config = json.loads((folder / "tags" / "config.json").read_text())
    assert [config["id2label"][str(at)] for at in range(5)] == manifest["labels"]


@pytest.mark.slow
def test_every_stage_s_graph_answers_as_its_model(folder: Path) -> None:
    stages = sorted((folder / "tags.stages").iterdir())
    assert [stage.name for stage in stages] == ["0-baseline", "1-graph", "2-distill", "3-prune"]
    for stage in stages:
        graph = read_document(stage)["stages"][-1]
        assert graph["metrics"]["parity"]["max_difference"] <= 1e-4
        assert graph["metrics"]["parity"]["agreement"] == 1.0
    layers = read_document(folder / "tags")["layers"]
    assert sum(layer["heads"] for layer in layers) < 2 * 3, "the narrow student has three heads a layer"


@pytest.mark.slow
def test_entities_are_found_at_their_place_in_short_and_long_texts(folder: Path) -> None:
    model = edgebert.load(folder / "tags.stages" / "1-graph")
    text = "the film was  good lovely and the meal is Awful"
    entities = model(text).entities
    assert [(entity.label, entity.text) for entity in entities] == [("nice", "good lovely"), ("nasty", "Awful")]
    assert all(text[entity.start : entity.end] == entity.text for entity in entities)
    assert all(0.5 < entity.score <= 1 for entity in entities)
    long = " and ".join([text] * 12)
    found = model(long).entities
    assert [(entity.label, entity.text) for entity in found] == [(e.label, e.text) for e in entities] * 12
    assert len(model.task.encode(long)) > 5


@pytest.mark.slow
def test_words_lists_and_batches_are_answered_as_one_by_one(folder: Path) -> None:
    model = edgebert.load(folder / "tags.stages" / "3-prune")
    texts = [Words(("the", "good", "film")), Words(("a", "dull", "cold", "and", "play") * 9), Words(("so",))]
    together = model(texts, batch_size=2)
    for text, answer in zip(texts, together, strict=True):
        alone = model(text)
        assert (answer.words, answer.tags) == (text.words, alone.tags)
        assert [e.score for e in answer.entities] == pytest.approx([e.score for e in alone.entities], abs=1e-4)
    assert [answer.tags for answer in model(iter(texts))] == [answer.tags for answer in together]
    assert model("the good film").tags == together[0].tags


@pytest.mark.slow
def test_predict_and_evaluate_speak_of_entities(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(folder / "tags")
    capsys.readouterr()
    assert main(["predict", bundle, "the film was great"]) == 0
    assert capsys.readouterr().out == "nice:great\tthe film was great\n"
    assert main(["predict", bundle, "a great film", "--json"]) == 0
    [answer] = json.loads(capsys.readouterr().out)
    assert answer["entities"][0]["text"] == "great"
    assert answer["tags"] == ["O", "B-nice", "O"]
    assert main(["evaluate", bundle, "--data", str(folder / "test.conll"), "--json"]) == 0
    quality = json.loads(capsys.readouterr().out)["quality"]
    assert quality == read_document(folder / "tags")["metrics"]["test"]
    assert main(["evaluate", bundle, "--data", str(folder / "more.txt")]) == 2
    assert "more.txt: line 1: no tags" in capsys.readouterr().err


@pytest.mark.slow
def test_the_texts_of_a_bench_are_plain_json(folder: Path) -> None:
    from edgebert.measure.workload import read_workload

    manifest = read_manifest(folder / "tags")
    labelled = read_workload(folder / "test.conll", manifest)
    assert labelled.inputs == json.loads(json.dumps(labelled.inputs))
    assert labelled.inputs[0] == labelled.examples[0].text
    assert read_workload(folder / "more.txt", manifest).examples[0].label is None


@pytest.mark.slow
def test_a_model_that_has_the_head_is_only_quantized(folder: Path, tmp_path: Path) -> None:
    [teacher] = (folder / "tags.work").glob("finetune-*")
    recipe = tmp_path / "again.toml"
    recipe.write_text(
        f'name = "again"\ntask = "token-classification"\n[model]\nsource = "{teacher}"\n'
        '[data]\nvalidation = "validation.conll"\nunlabelled = ["more.txt"]\nmax_length = 24\n'
        "[export]\nstages = false\n"
    )
    assert main(["export", str(recipe), "--data-dir", str(folder), "--out", str(tmp_path / "again")]) == 0
    manifest = read_document(tmp_path / "again")
    assert [stage["stage"] for stage in manifest["stages"]] == ["quantize"]
    assert manifest["labels"] == read_document(folder / "tags")["labels"]
    assert manifest["metrics"]["validation"]["value"] > 0.8


@pytest.mark.slow
def test_a_head_for_whole_texts_is_not_taken_for_one_of_tags(
    classifier_checkpoint: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(folder / "tags.toml"), "--model", str(classifier_checkpoint), "--out", str(tmp_path / "x")]
    assert main([*command, "--data-dir", str(folder)]) == 2
    assert "the checkpoint's head has 'LABEL_0', 'LABEL_1', expected BIO tags" in capsys.readouterr().err


@pytest.mark.slow
def test_the_head_stays_fp32(folder: Path) -> None:
    assert len(head_matmuls(onnx.load(folder / "tags.stages" / "3-prune" / "model.onnx"))) == 1


@pytest.mark.slow
def test_raw_outputs_have_a_row_for_every_token(folder: Path) -> None:
    model = edgebert.load(folder / "tags")
    [(logits,)] = model.raw(["the good film"])
    assert logits.shape == (5, 5)
    assert np.isfinite(logits).all()
    assert asdict(model("the good film"))["words"] == ("the", "good", "film")
