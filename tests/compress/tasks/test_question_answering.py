"""Question answering on the workstation: targets, losses without padding, two outputs, thresholds; the whole chain."""

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgebert
from edgebert.bundle import read_manifest
from edgebert.cli import main
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.data import pad_batch
from edgebert.compress.tasks import question_answering as half
from edgebert.errors import DataError
from edgebert.examples import Example
from edgebert.exporters.onnx import fast_module
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.tasks.question_answering import METRICS, FoundAnswer, QuestionAnswering, Settings, f1
from edgebert.squad import Answer

NICE, NASTY, NEUTRAL = ["good", "great", "warm"], ["bad", "awful", "cold"], ["film", "play", "the", "a", "is", "was"]
QUESTION = "is the film good"


def example(context: str, answer: str | None, line: int = 1) -> Example:
    label = () if answer is None else (Answer(answer, context.index(answer)), Answer(context, 0))
    return Example(QUESTION, context, label, line, "d.json")


def device_task(encoder: Any = None, **head: Any) -> QuestionAnswering:
    return QuestionAnswering({"head": {"settings": {"stride": 4}, **head}}, encoder)


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> TextEncoder:
    return TextEncoder(checkpoint / "tokenizer.json", 16)


def test_there_are_no_labels_and_no_answers_are_noted_where_training_has_them() -> None:
    answered, unanswered = example("a b", "b"), example("a b", None)

    def extra(**splits: list[Example]) -> dict[str, Any]:
        known = {"train": [], "validation": [], "test": []} | splits
        labels = half.read_labels(DataSettings(train="t.json"), known, Path("data"), None, Settings())
        assert (labels.values, labels.names) == ([], [])
        return labels.extra

    assert extra(train=[answered, unanswered]) == {"may_have_no_answer": True}
    assert extra(train=[answered], validation=[unanswered]) == {"may_have_no_answer": False}
    assert extra(validation=[answered, unanswered]) == {"may_have_no_answer": True}
    assert extra() == {"may_have_no_answer": False}


def test_data_that_teaches_nothing_is_refused() -> None:
    def refused(data: DataSettings, **splits: list[Example]) -> str:
        with pytest.raises(DataError) as caught:
            half.read_labels(data, {"train": [], "validation": [], "test": []} | splits, Path("data"), None, Settings())
        return str(caught.value)

    data = DataSettings(train="t.json")
    unknown = Example("who", "a b", None, 7, "t.json")
    assert refused(data, train=[example("a b", "b"), unknown]).startswith("t.json: line 7: no 'answers'; expected a")
    assert refused(data, validation=[unknown]).startswith("t.json: line 7: no 'answers'; expected a")
    assert (
        refused(data, train=[example("a b", None)]) == "data/t.json: no question has an answer; expected some that have"
    )
    assert 'data.text_pair = "context"' in refused(DataSettings(unlabelled=("u.jsonl",)), train=[example("a b", "b")])


def positions(encoder: TextEncoder, row: Example) -> tuple[list[Encoded], list[tuple[int, int]]]:
    task = device_task(encoder)
    windows = task.encode(task.given(row))
    targets = half.targets(task, row, windows)
    assert all(list(target) == ["start_positions", "end_positions"] for target in targets)
    return windows, [(target["start_positions"], target["end_positions"]) for target in targets]


@pytest.mark.parametrize("answer", ["good", "warm meal", "a warm meal!", "é", "cafe\u0301", "(so", "film"])
def test_targets_are_the_answers_tokens_in_every_window_that_holds_all_of_it(answer: str, encoder: TextEncoder) -> None:
    context = "é cafe\u0301 (so good) was the play and a warm meal! and the story was very lovely: film"
    windows, targets = positions(encoder, example(context, answer))
    start, end = context.index(answer), context.index(answer) + len(answer)
    held = 0
    for window, (first, last) in zip(windows, targets, strict=True):
        inside = [offset for offset in window.offsets if offset]
        # The last combining accent belongs to no token.
        whole = inside[0][0] <= start and inside[-1][1] >= end - answer.endswith("\u0301")
        assert (first, last) != (0, 0) if whole else (first, last) == (0, 0)
        if whole:
            held += 1
            opening, closing = window.offsets[first], window.offsets[last]
            assert opening is not None
            assert closing is not None
            assert opening[0] == start
            assert closing[1] == end - answer.endswith("\u0301")
    assert len(windows) > 3
    assert 0 < held < len(windows)


def test_an_answer_inside_a_word_points_to_the_tokens_that_it_touches(encoder: TextEncoder) -> None:
    (window,), ((first, last),) = positions(encoder, example("a zyx b", "y"))
    assert (window.offsets[first], window.offsets[last]) == ((3, 4), (3, 4))


def test_questions_without_an_answer_point_to_cls_and_unlabelled_ones_nowhere(encoder: TextEncoder) -> None:
    context = "the good film was a play " * 4
    windows, targets = positions(encoder, example(context, None))
    assert targets == [(0, 0)] * len(windows)
    _, targets = positions(encoder, Example(QUESTION, context, None, 1))
    assert targets == [(-100, -100)] * len(windows)
    _, targets = positions(encoder, example("a \u200b\u200b b", "\u200b\u200b"))
    assert targets == [(-100, -100)]


def batch_of(lengths: Sequence[int], targets: Sequence[tuple[int, int]]) -> dict[str, torch.Tensor]:
    return pad_batch(
        [
            {"input_ids": [5] * length, "token_type_ids": [0] * length, "start_positions": start, "end_positions": end}
            for length, (start, end) in zip(lengths, targets, strict=True)
        ]
    )


def logits(shape: tuple[int, int], seed: int, fill: float = 0.0, lengths: Sequence[int] = ()) -> Any:
    """Start and end logits, with `fill` behind each row's length."""
    made = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32))
    for row, length in enumerate(lengths):
        made[:, row, length:] = fill
    return tuple(made)


def test_the_hard_loss_is_transformers_own_where_nothing_is_padded(checkpoint: Path) -> None:
    model = checkpoints.load_model(checkpoint, "question-answering", []).eval()
    batch = batch_of([9, 9, 9], [(0, 0), (3, 5), (8, 8)])
    result = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
    theirs = model(**batch).loss
    assert half.hard_loss(half.outputs(result), batch).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_logits_of_padding_are_not_heard() -> None:
    lengths = [9, 4, 6]
    batch = batch_of(lengths, [(1, 8), (3, 3), (0, 0)])
    teacher = logits((3, 9), 2)
    figures = []
    for fill in (0.0, 100.0, -1e4):
        ours = tuple(part.requires_grad_() for part in logits((3, 9), 1, fill, lengths))
        theirs = logits((3, 9), 3, -fill, lengths)
        hard, soft = half.hard_loss(ours, batch), half.soft_loss(ours, theirs, batch, 2.0)
        (hard + soft).backward()
        for part in ours:
            assert part.grad is not None
            assert part.grad[batch["attention_mask"] == 0].abs().max() == 0
            assert part.grad[batch["attention_mask"] == 1].abs().min() > 0
        figures.append((hard.item(), soft.item()))
    assert figures[0] == figures[1] == figures[2]
    assert half.soft_loss(teacher, teacher, batch, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_the_losses_of_a_padded_batch_are_the_means_of_its_rows() -> None:
    lengths, targets = [7, 3, 5], [(1, 6), (0, 0), (2, 3)]
    ours, theirs = logits((3, 7), 1, 9.0, lengths), logits((3, 7), 4, -9.0, lengths)
    whole = batch_of(lengths, targets)
    alone = []
    for row, length in enumerate(lengths):
        batch = batch_of([length], [targets[row]])
        own, other = (tuple(part[row : row + 1, :length] for part in parts) for parts in (ours, theirs))
        alone.append((half.hard_loss(own, batch).item(), half.soft_loss(own, other, batch, 3.0).item()))
    hard, soft = np.mean(alone, axis=0)
    assert half.hard_loss(ours, whole).item() == pytest.approx(hard, rel=1e-5)
    assert half.soft_loss(ours, theirs, whole, 3.0).item() == pytest.approx(soft, rel=1e-5)


def test_the_soft_loss_is_the_mean_divergence_of_start_and_end() -> None:
    ours, theirs, temperature = logits((1, 6), 1), logits((1, 6), 2), 4.0
    expected = 0.0
    for student, teacher in zip(ours, theirs, strict=True):
        p, q = torch.softmax(teacher[0] / temperature, -1), torch.softmax(student[0] / temperature, -1)
        expected += float((p * (p / q).log()).sum()) * temperature**2 / 2
    batch = batch_of([6], [(0, 0)])
    assert half.soft_loss(ours, theirs, batch, temperature).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 100.0])
def test_the_soft_loss_is_finite_at_every_temperature(temperature: float) -> None:
    batch = batch_of([6, 2], [(0, 0), (0, 0)])
    assert torch.isfinite(half.soft_loss(logits((2, 6), 1), logits((2, 6), 2), batch, temperature))


def test_unlabelled_questions_have_no_hard_loss() -> None:
    ours = logits((2, 5), 1)
    both = half.hard_loss(ours, batch_of([5, 5], [(1, 2), (-100, -100)]))
    alone = half.hard_loss(tuple(part[:1] for part in ours), batch_of([5], [(1, 2)]))
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    assert half.hard_loss(ours, batch_of([5, 5], [(-100, -100)] * 2)).item() == 0


def test_a_model_without_labels_has_two_outputs_a_token_and_keeps_them(checkpoint: Path, tmp_path: Path) -> None:
    model = checkpoints.load_model(checkpoint, "question-answering", [], seed=3).eval()
    assert (model.qa_outputs.out_features, model.config.num_labels) == (2, 2)
    checkpoints.save_model(model, checkpoints.load_tokenizer(checkpoint), tmp_path / "m")
    again = checkpoints.load_model(tmp_path / "m", "question-answering", [], seed=4).eval()
    assert torch.equal(again.qa_outputs.weight, model.qa_outputs.weight)
    assert checkpoints.has_head(tmp_path / "m", "question-answering", [])
    assert not checkpoints.has_head(checkpoint, "question-answering", [])


def test_the_rewritten_graph_gives_the_models_logits_at_every_length(checkpoint: Path) -> None:
    model = checkpoints.load_model(checkpoint, "question-answering", []).eval()
    fast = fast_module(model, half, 2, 48)
    for lengths in ([2], [7, 31, 48], [48] * 3):
        random_ = np.random.default_rng(len(lengths))
        batch = pad_batch(
            [
                {
                    "input_ids": random_.integers(5, 60, length).tolist(),
                    "token_type_ids": (np.arange(length) > length // 3).astype(int).tolist(),
                }
                for length in lengths
            ]
        )
        with torch.no_grad():
            plain, rewritten = half.outputs(model(**batch)), fast(**batch)
        assert len(plain) == len(rewritten) == 2
        real = batch["attention_mask"] == 1
        for ours, theirs in zip(rewritten, plain, strict=True):
            assert ours.shape == theirs.shape == (len(lengths), max(lengths))
            torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-5)
            assert theirs[real].std() > 0.01


def official_threshold(rows: Sequence[tuple[float, str, tuple[str, ...]]]) -> float:
    """Best sum of F1 that SQuAD 2.0's official search over thresholds finds."""
    best = current = float(sum(not answers for _, _, answers in rows))
    for _, candidate, answers in sorted(rows, key=lambda row: row[0]):
        current += f1(answers, candidate) if answers else -1
        best = max(best, current)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_threshold_has_the_best_f1_of_all(seed: int) -> None:
    random_ = random.Random(seed)
    rows = []
    for _ in range(60):
        answers = random_.choice([(), ("big cat",), ("cat",), ("dog", "big dog")])
        rows.append((random_.gauss(-1 if answers else 1, 1.5), random_.choice(["cat", "big dog", "x"]), answers))
    expected = [answers for _, _, answers in rows]
    predictions = [FoundAnswer("", None, None, 0.5, candidate, lead) for lead, candidate, _ in rows]
    task = device_task(may_have_no_answer=True)
    tuned = half.tune(task, iter(predictions), expected)
    assert tuned == half.tune(task, predictions, expected)
    threshold = tuned["no_answer_threshold"]

    def total(cut: float) -> float:
        return sum(f1(answers, "" if lead > cut else candidate) for lead, candidate, answers in rows)

    assert total(threshold) == pytest.approx(official_threshold(rows), abs=1e-9)
    assert total(threshold) == pytest.approx(max(total(lead + step) for lead, _, _ in rows for step in (-1e-9, 1e-9)))
    # Halfway between two questions, where another machine's rounding moves neither across.
    assert min(abs(threshold - lead) for lead, _, _ in rows) > 1e-6


@pytest.mark.parametrize(
    ("rows", "threshold"),
    [
        ([(1.0, "x", ()), (2.0, "x", ())], 0.5),
        ([(1.0, "cat", ("cat",)), (3.0, "cat", ("cat",))], 3.5),
        ([(1.0, "cat", ("cat",)), (3.0, "x", ())], 2.0),
        ([(3.0, "x", ()), (1.0, "cat", ("cat",))], 2.0),
        ([(2.0, "cat", ("cat",)), (2.0, "x", ()), (2.0, "x", ()), (9.0, "x", ())], 1.5),
        ([(2.0, "cat", ("cat",)), (2.0, "x", ()), (2.0, "cat", ("cat",)), (9.0, "x", ())], 5.5),
        ([(0.0, "x", ("cat",))], -0.5),
    ],
)
def test_thresholds_worked_out_by_hand(rows: list[tuple[float, str, tuple[str, ...]]], threshold: float) -> None:
    predictions = [FoundAnswer(candidate, 0, 1, 0.5, candidate, lead) for lead, candidate, _ in rows]
    task = device_task(may_have_no_answer=True)
    assert half.tune(task, predictions, [answers for _, _, answers in rows]) == {"no_answer_threshold": threshold}


def test_a_model_that_always_answers_is_not_tuned() -> None:
    predictions = [FoundAnswer("x", 0, 1, 0.5, "x", None)]
    assert half.tune(device_task(), predictions, [("x",)]) == {}


@pytest.mark.parametrize("metric", list(METRICS))
def test_the_score_in_training_is_the_devices(metric: str) -> None:
    expected, predicted = [("big cat",), (), ("a dog", "dogs")], ["cat", "", "dog"]
    table = METRICS[metric].table(expected, predicted)
    assert half.score(metric, expected, predicted) == METRICS[metric].figure(table)
    assert half.score("f1", expected, predicted) == pytest.approx((2 / 3 + 1 + 1) / 3)


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Which nice word is in the context? In a third of them none is; some contexts are longer than a window."""
    random_ = random.Random(seed)
    rows = []
    for number in range(count):
        word = random_.choice(NASTY if number % 3 == 0 else NICE)
        words = random_.choices(NEUTRAL, k=40 if number % 10 == 7 else random_.randint(3, 12))
        words.insert(random_.randrange(len(words) + 1), word)
        context = " ".join(words)
        answers = [] if word in NASTY else [{"text": word, "start": context.index(word)}]
        rows.append({"id": f"{seed}-{number}", "question": QUESTION, "context": context, "answers": answers})
    return rows


def write_squad(path: Path, rows: list[dict[str, Any]]) -> None:
    paragraphs = []
    for row in rows:
        answers = [{"text": answer["text"], "answer_start": answer["start"]} for answer in row["answers"]]
        question = {"id": row["id"], "question": row["question"], "answers": answers, "is_impossible": not answers}
        paragraphs.append({"context": row["context"], "qas": [question]})
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}))


RECIPE = """
name = "answers"
task = "question-answering"
[model]
source = "CHECKPOINT"
[head]
stride = 8
max_answer_length = 4
[data]
train = "train.json"
validation = "validation.json"
test = "test.jsonl"
max_length = 32
[finetune]
epochs = 5.0
learning_rate = 3e-3
batch_size = 8
[distill]
layers = [0, 2]
epochs = 1.0
learning_rate = 1e-3
batch_size = 8
[prune]
ffn_multiple = 8
samples = 32
[prune.recover]
epochs = 1.0
learning_rate = 1e-3
batch_size = 8
[prune.loss]
hard = 0.5
[quantize]
samples = 16
[export]
stages = false
"""


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("squad")
    write_squad(folder / "train.json", questions(150, 1))
    write_squad(folder / "validation.json", questions(40, 2))
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions(40, 3)))
    return folder


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, data_folder: Path) -> Path:
    """The bundle of the whole chain."""
    folder = tmp_path_factory.mktemp("answering")
    (folder / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    arguments = ["export", str(folder / "r.toml"), "--data-dir", str(data_folder), "--out", str(folder / "out")]
    assert main(arguments) == 0
    return folder / "out"


def test_the_whole_chain_gives_a_bundle_that_answers(answering: Path) -> None:
    manifest = read_manifest(answering)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["labels"], manifest["segments"]) == ([], 2)
    assert manifest["outputs"] == ["start_logits", "end_logits"]
    assert manifest["head"]["settings"] == {"stride": 8, "max_answer_length": 4, "misplaced_answers": "refuse"}
    assert manifest["head"]["may_have_no_answer"] is True
    assert isinstance(manifest["head"]["no_answer_threshold"], float)
    assert (manifest["metrics"]["test"]["metric"], manifest["metrics"]["test"]["n"]) == ("f1", 40)
    assert manifest["metrics"]["test"]["value"] > 0.8
    model = edgebert.load(answering)
    context = "the\tfilm was  a play and Gre\u0301at"
    found = model((QUESTION, context))
    assert found.answer == context[found.start : found.end] == "Gre\u0301at"
    far = f"{'the film was a play ' * 30}great"
    assert [answer.answer for answer in model([(QUESTION, far), (QUESTION, "the play is awful")])] == ["great", ""]


def test_the_command_line_predicts_and_evaluates(
    answering: Path, data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def out(*arguments: str) -> str:
        capsys.readouterr()
        assert main([arguments[0], str(answering), *arguments[1:]]) == 0
        return capsys.readouterr().out

    contexts = ["the film is great", "a play was cold"]
    line = out("predict", QUESTION, "--context", contexts[0])
    assert line.startswith("great\t")
    assert line.endswith(f"\t{QUESTION} | {contexts[0]}\n")
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps({"question": QUESTION, "context": context}) + "\n" for context in contexts))
    first, second = out("predict", "--input", str(path)).splitlines()
    # INT8 scales activations by the batch, so the score is not the same to the last digit.
    assert first.split("\t")[::2] == line.strip().split("\t")[::2]
    assert second.startswith("(no answer)\t")
    answers = json.loads(out("predict", "--input", str(path), "--json"))
    assert [answer["text"] for answer in answers] == [[QUESTION, context] for context in contexts]
    assert [(answer["answer"], answer["start"], answer["end"]) for answer in answers] == [
        ("great", 12, 17),
        ("", None, None),
    ]
    for name, split in (("test.jsonl", "test"), ("validation.json", "validation")):
        quality = json.loads(out("evaluate", "--data", str(data_folder / name), "--json"))["quality"]
        assert quality == read_manifest(answering)["metrics"][split]


@pytest.mark.parametrize("arguments", [(QUESTION,), (QUESTION, "--context", " "), ("", "--context", "a film")])
def test_the_command_line_refuses_a_question_without_a_context(
    arguments: tuple[str, ...], answering: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(answering), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edgebert: ")
    assert captured.err.count("\n") == 1


def test_a_checkpoint_that_answers_already_is_only_exported_and_its_graph_agrees(
    checkpoint: Path, data_folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForQuestionAnswering

    shutil.copytree(checkpoint, tmp_path / "model")
    torch.manual_seed(5)
    theirs = AutoModelForQuestionAnswering.from_pretrained(checkpoint).eval()
    theirs.save_pretrained(tmp_path / "model")
    recipe = RECIPE.split("[finetune]")[0].replace("CHECKPOINT", str(tmp_path / "model"))
    recipe = recipe.replace('train = "train.json"\n', "")
    (tmp_path / "r.toml").write_text(f'{recipe}[quantize]\nformat = "none"\n[export]\nstages = false\n')
    arguments = ["export", str(tmp_path / "r.toml"), "--data-dir", str(data_folder), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    manifest = read_manifest(tmp_path / "out")
    assert [stage["stage"] for stage in manifest["stages"]] == ["graph"]
    assert manifest["head"]["may_have_no_answer"] is True
    model = edgebert.load(tmp_path / "out")
    given = (QUESTION, "the film was a play and good " * 9)
    windows = model.task.encode(given)
    assert len(windows) > 2
    for window, outputs in zip(windows, model.raw([given]), strict=True):
        ids, types = torch.tensor([window.ids]), torch.tensor([window.type_ids])
        with torch.no_grad():
            expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=types)
        for ours, right in zip(outputs, (expected.start_logits, expected.end_logits), strict=True):
            np.testing.assert_allclose(ours, right[0].numpy(), rtol=0, atol=1e-4)
            assert ours.std() > 0.01
