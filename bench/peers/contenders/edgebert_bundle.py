"""EdgeBERT's bundle, opened and called as in the README. The folder is the bundle itself; nothing is prepared."""

from __future__ import annotations

import numpy as np

import edgebert


def load(job: dict):
    model = edgebert.load(job["folder"], runtime=job["variant"] or None, threads=job["threads"])
    if job["task"] == "similarity":
        return lambda text: model.embed([text])[0]
    return lambda text: np.array(list(model(text).scores.values()))
