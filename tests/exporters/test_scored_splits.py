"""The report of a graph's stage about the splits that it scores."""

from types import SimpleNamespace
from typing import Any

import pytest
from manifests import facts_of

from edgebert.data.examples import Example
from edgebert.exporters import graphs
from edgebert.tasks.text_classification.predict import Classification, TextClassification


class Cutting:
    """Answers `no`, and truncates texts of more than three characters."""

    def __init__(self) -> None:
        self.task = TextClassification(facts_of(labels=["no", "yes"]), None)

    def __call__(self, text: str) -> Classification:
        return Classification("no", 1.0, {}, len(text) > 3)


def test_a_split_with_cut_texts_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "_model", lambda *arguments: Cutting())
    rows = [Example("a", None, "no", 1), Example("long text", None, "no", 2)]
    job: Any = SimpleNamespace(
        data=SimpleNamespace(validation=rows, test=rows[:1]), run=SimpleNamespace(metric="accuracy")
    )
    scores = graphs.quality_of(job, None, [], {})  # type: ignore[arg-type]
    assert scores["validation"]["cut"] == 1
    assert "cut" not in scores["test"]
    assert [scores[split]["value"] for split in ("validation", "test")] == [1.0, 1.0]
