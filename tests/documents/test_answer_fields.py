"""The table of answers in docs/guides/serving.md has the fields that predictions have."""

import re
from dataclasses import fields
from pathlib import Path

from edgebert.runtime.prediction import Prediction
from edgebert.runtime.tagging import Entity
from edgebert.tasks.fill_mask.predict import Candidate, Filled
from edgebert.tasks.intent_slots.predict import Command
from edgebert.tasks.multi_label.predict import Labelling
from edgebert.tasks.question_answering.predict import FoundAnswer
from edgebert.tasks.regression.predict import Score
from edgebert.tasks.rerank.predict import Relevance
from edgebert.tasks.similarity.predict import Embedding, Similarity
from edgebert.tasks.table import TASKS
from edgebert.tasks.text_classification.predict import Classification
from edgebert.tasks.token_classification.predict import Entities

ANSWERS: dict[str, tuple[type[Prediction], ...]] = {
    "text-classification": (Classification,),
    "multi-label": (Labelling,),
    "regression": (Score,),
    "rerank": (Relevance,),
    "similarity": (Embedding, Similarity),
    "token-classification": (Entities, Entity),
    "intent-slots": (Command,),
    "question-answering": (FoundAnswer,),
    "fill-mask": (Filled, Candidate),
}


def test_every_task_has_a_row_with_its_fields() -> None:
    assert set(ANSWERS) == set(TASKS)
    page = (Path(__file__).parents[2] / "docs" / "guides" / "serving.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z, -]+) \| (`.+) \|$", page.split("| task | fields of an answer |")[1], re.MULTILINE)
    told = {task: set(re.findall(r"`(\w+)`", row)) for tasks, row in rows for task in tasks.split(", ")}
    told["intent-slots"].discard("entities")  # named there as the form of `slots`
    assert told == {task: {field.name for kind in kinds for field in fields(kind)} for task, kinds in ANSWERS.items()}
