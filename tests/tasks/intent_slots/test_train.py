"""Intent and slots in training: labels, losses, the joint model, and all stages on a tiny model."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("seqeval")

import onnx
import torch
from manifests import facts_of
from recipes import whole_chain
from torch.nn import functional

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress import arch, checkpoint
from edgebert.data.examples import Example
from edgebert.data.tags import tag_set
from edgebert.errors import CheckpointError, DataError
from edgebert.exporters.quantize.products import head_matmuls
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.tasks.intent_slots.predict import IntentSlots
from edgebert.tasks.intent_slots.spec import SPEC
from edgebert.tasks.token_classification.train import UNKNOWN, UNREAD
from edgebert.tasks.training_table import training_task

TRAINING = training_task("intent-slots")

THINGS, NEUTRAL = ["film", "play", "story", "song", "meal"], ["the", "a", "is", "was", "and", "very", "so"]
INTENTS = {"Praise": ["good", "great", "fine"], "Blame": ["bad", "awful", "dull"]}
SLOT_TAGS = ["O", "B-thing", "I-thing"]


def row(intent: str, *tags: str, line: int = 1) -> Example:
    return Example("x", None, (intent, tags), line, "d/seq.in", ("x",) * len(tags))


def labels_of(train: list[Example], head: list[str] | None = None, names: Any = None, **more: Any) -> Any:
    data = DataSettings(train="d", label_names=names or {})
    splits = {"train": train, "validation": [], "test": [], **more}
    return TRAINING.read_labels(data, splits, Path("data"), head)


def test_intents_are_the_labels_and_tags_stand_beside_them() -> None:
    labels = labels_of([row("On", "O", "B-b"), row("Off", "B-a")], validation=[row("On", "B-a", "I-a")])
    assert labels.values == labels.names == ["Off", "On"]
    assert labels.extra == {"tags": ["O", "B-a", "I-a", "B-b", "I-b"]}
    assert labels.config == {"slot_tags": ["O", "B-a", "I-a", "B-b", "I-b"]}
    named = labels_of([row("1", "B-a"), row("0", "O")], names={"1": "On", "0": "Off"})
    assert (named.values, named.names) == (["1", "0"], ["On", "Off"])
    assert labels_of([row("On", "B-a")], head=["On", "Off"]).names == ["On", "Off"]


@pytest.mark.parametrize(
    ("train", "more", "message"),
    [
        ([row("On", "B-a")], {}, "data/d: only one label, 'On'; expected at least two"),
        ([row("On", "O"), row("Off", "O")], {}, "data/d: no entity in 2 rows; expected tags other than O"),
        (
            [row("On", "B-a"), row("Off", "O"), Example("x", None, None, 3, "t")],
            {},
            "t: line 3: no tags for 'x'; expec",
        ),
    ],
)
def test_data_that_makes_no_labels_is_refused(train: list[Example], more: Any, message: str) -> None:
    with pytest.raises(DataError) as caught:
        labels_of(train, **more)
    assert str(caught.value).startswith(message)


def test_scores_are_the_device_s_own_metrics() -> None:
    expected = [("On", ("B-a", "I-a", "O")), ("On", ("O", "B-b")), ("Off", ("O",))]
    predicted = [("On", ("B-a", "I-a", "O")), ("Off", ("O", "B-b")), ("Off", ("B-a",))]
    found = {name: TRAINING.score(name, expected, predicted) for name in SPEC.metrics}
    assert found == pytest.approx(
        {name: metric.figure(metric.table(expected, predicted)) for name, metric in SPEC.metrics.items()}, abs=1e-12
    )
    assert found == pytest.approx(
        {"intent_slots": (2 / 3 + 4 / 5) / 2, "intent_accuracy": 2 / 3, "slot_f1": 4 / 5, "exact_match": 1 / 3}
    )


def test_targets_are_an_intent_a_window_and_a_tag_a_word() -> None:
    head = {"settings": {}, "tags": SLOT_TAGS}
    task = IntentSlots(facts_of({"labels": ["Off", "On"], "head": head, "data": {}}), None)
    windows = [Encoded([1, 5, 6, 2], [0] * 4, words=[None, 0, 1, None])]
    example = Example("a b", None, ("On", ("O", "B-thing")), 1, words=("a", "b"))
    assert TRAINING.targets(task, example, windows) == [{"intents": 1, "tags": [UNREAD, 0, 1, UNREAD]}]
    assert TRAINING.targets(task, Example("a b", None, None, 1), windows) == [
        {"intents": -100, "tags": [UNREAD, UNKNOWN, UNKNOWN, UNREAD]}
    ]


def test_losses_are_the_sums_of_both_heads() -> None:
    random_ = torch.Generator().manual_seed(0)
    ours, theirs = ((torch.randn(2, 2, generator=random_), torch.randn(2, 3, 3, generator=random_)) for _ in range(2))
    batch = {"intents": torch.tensor([1, -100]), "tags": torch.tensor([[UNREAD, 2, 0], [UNREAD, UNKNOWN, UNREAD]])}
    hard = TRAINING.hard_loss(ours, batch)
    expected = functional.cross_entropy(ours[0][:1], torch.tensor([1]))
    expected = expected + functional.cross_entropy(ours[1][0, 1:], torch.tensor([2, 0]))
    torch.testing.assert_close(hard, expected)
    assert TRAINING.soft_loss(ours, ours, batch, 2.0).item() == pytest.approx(0, abs=1e-6)
    moved = (theirs[0], ours[1]), (ours[0], theirs[1])
    parts = [TRAINING.soft_loss(ours, other, batch, 2.0) for other in moved]
    torch.testing.assert_close(TRAINING.soft_loss(ours, theirs, batch, 2.0), parts[0] + parts[1])
    unlabelled = {"intents": torch.tensor([-100, -100]), "tags": torch.full((2, 3), UNKNOWN)}
    assert TRAINING.hard_loss(ours, unlabelled).item() == 0.0


def sentence(random_: random.Random) -> tuple[str, str, str]:
    """Words, tags and intent: things are slots, and one nice or nasty word decides the intent."""
    intent = random_.choice(list(INTENTS))
    pairs = [(word, "O") for word in random_.choices(NEUTRAL, k=random_.randint(1, 6))]
    pairs.insert(random_.randrange(len(pairs) + 1), (random_.choice(INTENTS[intent]), "O"))
    things = [random_.choice(THINGS[:3]), random_.choice(THINGS[3:])][: random_.randint(1, 2)]
    at = random_.randrange(len(pairs) + 1)
    pairs[at:at] = list(zip(things, ["B-thing", "I-thing"], strict=False))
    words, tags = zip(*pairs, strict=True)
    return " ".join(words), " ".join(tags), intent


def write_split(folder: Path, rows: int, seed: int) -> None:
    random_ = random.Random(seed)
    folder.mkdir()
    columns = zip(*[sentence(random_) for _ in range(rows)], strict=True)
    for name, lines in zip(("seq.in", "seq.out", "label"), columns, strict=True):
        (folder / name).write_text("\n".join(lines) + "\n")


RECIPE = whole_chain(
    "commands",
    "intent-slots",
    {"train": "train", "validation": "validation/seq.in", "test": "test", "max_length": 24},
    finetune={"epochs": 8.0},
    export={"formats": ["onnx", "openvino"]},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """Data, and the bundle `commands` of all stages."""
    folder = tmp_path_factory.mktemp("commands")
    for name, rows, seed in (("train", 192, 1), ("validation", 48, 2), ("test", 48, 3)):
        write_split(folder / name, rows, seed)
    (folder / "commands.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "commands.toml"), "--out", str(folder / "commands")]) == 0
    return folder


@pytest.mark.slow
def test_the_bundle_knows_intents_tags_and_quality(folder: Path) -> None:
    manifest = read_document(folder / "commands")
    assert manifest["labels"] == ["Blame", "Praise"]
    assert manifest["head"]["tags"] == SLOT_TAGS
    assert manifest["outputs"] == ["intent_logits", "slot_logits"]
    assert manifest["metrics"]["test"]["metric"] == "intent_slots"
    assert manifest["metrics"]["test"]["value"] > 0.85
    assert [entry["rows"] for entry in manifest["data"]["files"]] == [192, 48, 48]
    for stage in (folder / "commands.stages").iterdir():
        parity = read_document(stage)["stages"][-1]["metrics"]["parity"]
        assert parity["max_difference"] <= 1e-4
        assert parity["agreement"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_one_pass_gives_intent_and_slots(folder: Path, runtime: str) -> None:
    model = edgebert.load(folder / "commands", runtime=runtime)
    text = "the film song was very Good"
    command = model(text)
    assert (command.intent, max(command.scores, key=command.scores.__getitem__)) == ("Praise", "Praise")
    assert sum(command.scores.values()) == pytest.approx(1)
    assert [(slot.label, slot.text, slot.start, slot.end) for slot in command.slots] == [("thing", "film song", 4, 13)]
    outputs = model.raw([text, "bad"])
    assert [[array.shape for array in arrays] for arrays in outputs] == [[(2,), (8, 3)], [(2,), (3, 3)]]
    long = " and ".join([text] * 8)
    assert [slot.text for slot in model(long).slots] == ["film song"] * 8
    assert model(long).intent == "Praise"


@pytest.mark.slow
def test_predict_and_evaluate_speak_of_commands(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = str(folder / "commands")
    capsys.readouterr()
    assert main(["predict", bundle, "the play is awful"]) == 0
    intent, score, slots, text = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (intent, slots, text) == ("Blame", "thing:play", "the play is awful")
    assert 0.5 < float(score) <= 1
    assert main(["predict", bundle, "the play is awful", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["slots"][0]["start"] == 4
    for data in ("test", "test/seq.in"):
        assert main(["evaluate", bundle, "--data", str(folder / data), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["quality"] == read_document(folder / "commands")["metrics"]["test"]


@pytest.mark.slow
def test_every_file_of_a_split_is_in_its_fingerprint(folder: Path) -> None:
    """Otherwise a corrected label file would not change any finished stage."""
    from edgebert.compress.data import read_task_data
    from edgebert.recipe import read_recipe

    recipe = read_recipe(folder / "commands.toml")
    before = read_task_data(recipe, folder).fingerprints
    for split, at in (("train", 0), ("validation", 1)):
        file = folder / split / "label"
        text = file.read_text()
        file.write_text(text.replace("Praise", "Blame", 1))
        after = read_task_data(recipe, folder).fingerprints
        file.write_text(text)
        assert [old["sha256"] != new["sha256"] for old, new in zip(before, after, strict=True)] == [
            place == at for place in range(3)
        ]


@pytest.mark.slow
def test_both_heads_stay_fp32(folder: Path) -> None:
    assert len(head_matmuls(onnx.load(folder / "commands.stages" / "3-prune" / "model.onnx"))) == 2


@pytest.mark.slow
def test_a_pruned_model_reloads_with_both_heads(folder: Path) -> None:
    [recovered] = (folder / "commands.work").glob("recover-*")
    model = checkpoint.load_model(recovered, "intent-slots", ["Blame", "Praise"]).eval()
    assert model.config.slot_tags == SLOT_TAGS
    assert arch.noted_shapes(model.config) == arch.layer_shapes(model)
    assert sum(shape.heads for shape in arch.layer_shapes(model)) < 8
    with torch.no_grad():
        result = model(
            input_ids=torch.tensor([[2, 6, 7, 3]]),
            attention_mask=torch.ones(1, 4, dtype=torch.long),
            token_type_ids=torch.zeros(1, 4, dtype=torch.long),
        )
    assert [output.shape for output in TRAINING.outputs(result)] == [(1, 2), (1, 4, 3)]
    assert json.loads((recovered / "config.json").read_text())["architectures"] == ["BertForIntentAndSlots"]


@pytest.mark.slow
def test_a_finished_model_is_taken_over_where_its_tags_are_those_of_the_data(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [teacher] = (folder / "commands.work").glob("finetune-*")
    labels, tags = ["Blame", "Praise"], {"slot_tags": SLOT_TAGS}
    assert checkpoint.has_head(teacher, "intent-slots", labels, tags)
    assert not checkpoint.has_head(teacher, "intent-slots", labels, {"slot_tags": ["O", "I-thing", "B-thing"]})
    assert not checkpoint.has_head(teacher, "intent-slots", ["a", "b", "c"], tags)
    recipe = tmp_path / "again.toml"
    recipe.write_text(
        f'name = "again"\ntask = "intent-slots"\n[model]\nsource = "{teacher}"\n'
        '[data]\ntrain = "train"\nvalidation = "validation"\nmax_length = 24\n[export]\nstages = false\n'
    )
    assert main(["export", str(recipe), "--data-dir", str(folder), "--out", str(tmp_path / "again")]) == 0
    assert [stage["stage"] for stage in read_document(tmp_path / "again")["stages"]] == ["quantize"]
    assert read_document(tmp_path / "again")["metrics"]["validation"]["value"] > 0.85


def test_a_model_of_intents_alone_is_trained_further(classifier_checkpoint: Path) -> None:
    labels, tags = ["LABEL_0", "LABEL_1"], {"slot_tags": SLOT_TAGS}
    assert not checkpoint.has_head(classifier_checkpoint, "intent-slots", labels, tags)
    joint = checkpoint.load_model(classifier_checkpoint, "intent-slots", labels, 5, tags)
    plain = checkpoint.load_model(classifier_checkpoint, "text-classification", labels)
    torch.testing.assert_close(joint.classifier.weight, plain.classifier.weight, rtol=0, atol=0)
    again = checkpoint.load_model(classifier_checkpoint, "intent-slots", labels, 5, tags)
    torch.testing.assert_close(joint.slot_classifier.weight, again.slot_classifier.weight, rtol=0, atol=0)
    other = checkpoint.load_model(classifier_checkpoint, "intent-slots", labels, 6, tags)
    assert not torch.equal(joint.slot_classifier.weight, other.slot_classifier.weight)
    with pytest.raises(CheckpointError, match="names no slot_tags"):
        checkpoint.load_model(classifier_checkpoint, "intent-slots", labels)


def test_all_tags_of_a_type_are_there_even_where_training_shows_but_some() -> None:
    assert labels_of([row("On", "B-a"), row("Off", "O")]).extra["tags"] == tag_set(["a"], "BIO")
