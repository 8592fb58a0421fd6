"""Predictions of every task as plain JSON types."""

import dataclasses
import inspect
import json
from typing import Any

import pytest

from edgebert.runtime.encode import Encoded
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.tagging import Entity
from edgebert.tasks.fill_mask.predict import Candidate, Filled
from edgebert.tasks.intent_slots.predict import Command
from edgebert.tasks.multi_label.predict import Labelling
from edgebert.tasks.question_answering.predict import FoundAnswer
from edgebert.tasks.similarity.predict import Embedding
from edgebert.tasks.table import device_task, task_names
from edgebert.tasks.text_classification.predict import Classification
from edgebert.tasks.token_classification.predict import Entities

ENTITY = Entity("city", "Oslo", 0, 4, 0.9)
PLAIN_ENTITY = {"label": "city", "text": "Oslo", "start": 0, "end": 4, "score": 0.9}


@pytest.mark.parametrize(
    ("prediction", "plain"),
    [
        (
            Classification("pos", 0.9, {"neg": 0.1, "pos": 0.9}, False),
            {"label": "pos", "score": 0.9, "scores": {"neg": 0.1, "pos": 0.9}, "truncated": False},
        ),
        (Labelling(("a", "b"), {}, True), {"labels": ["a", "b"], "scores": {}, "truncated": True}),
        (Embedding([0.6, 0.8], False), {"embedding": [0.6, 0.8], "truncated": False}),
        (
            Entities((ENTITY,), ("Oslo",), ("B-city",)),
            {"entities": [PLAIN_ENTITY], "words": ["Oslo"], "tags": ["B-city"]},
        ),
        (
            Command("go", 1.0, {"go": 1.0}, (ENTITY,), ("Oslo",), ("B-city",)),
            {
                "intent": "go",
                "score": 1.0,
                "scores": {"go": 1.0},
                "slots": [PLAIN_ENTITY],
                "words": ["Oslo"],
                "tags": ["B-city"],
            },
        ),
        (
            Filled([[Candidate("sea", 0.5, 7)]], False),
            {"masks": [[{"token": "sea", "score": 0.5, "id": 7}]], "truncated": False, "hidden": [], "hidden_ids": []},
        ),
        (
            FoundAnswer("", None, None, 0.5, "sea", 1.5),
            {"answer": "", "start": None, "end": None, "score": 0.5, "candidate": "sea", "no_answer_score": 1.5},
        ),
        (ENTITY, PLAIN_ENTITY),
    ],
)
def test_a_prediction_becomes_what_json_gives_back(prediction: Prediction, plain: dict[str, Any]) -> None:
    assert prediction.to_dict() == plain
    assert json.loads(json.dumps(prediction.to_dict())) == prediction.to_dict()


@pytest.mark.parametrize("task", task_names())
def test_every_prediction_of_a_task_can_become_a_dictionary(task: str) -> None:
    module = inspect.getmodule(device_task(task))
    own = [value for _, value in inspect.getmembers(module, inspect.isclass) if value.__module__ == module.__name__]
    kinds = [kind for kind in own if dataclasses.is_dataclass(kind) and not issubclass(kind, Encoded)]
    predictions = [kind for kind in kinds if kind.__name__ != "Settings"]
    assert predictions
    assert all(issubclass(kind, Prediction) for kind in predictions)
