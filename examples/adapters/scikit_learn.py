"""A bundle as a step of a scikit-learn pipeline: texts in, vectors out. Needs edgebert and scikit-learn, no PyTorch.

>>> from sklearn.linear_model import LogisticRegression
>>> from sklearn.pipeline import make_pipeline
>>> classifier = make_pipeline(TextVectors("build/my"), LogisticRegression())  # doctest: +SKIP
>>> classifier.fit(texts, labels).predict(["a new text"])  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

import edgebert


class TextVectors(TransformerMixin, BaseEstimator):
    """Embed texts with a bundle for the task `similarity`.

    There is nothing to fit, so `transform` works without `fit`. It can be cloned, and pickled with its pipeline. The
    pickle contains only the bundle's path, so the bundle must exist there when the pipeline is loaded.
    """

    def __init__(self, bundle: str, *, width: int | None = None, batch_size: int = 32) -> None:
        """Take the bundle's folder, and the number of leading dimensions to keep (None: all)."""
        self.bundle = bundle
        self.width = width
        self.batch_size = batch_size

    def fit(self, texts: Iterable[str], labels: object = None) -> TextVectors:
        """Open the bundle, so that a wrong path fails before anything is trained."""
        self._opened()
        return self

    def transform(self, texts: Iterable[str]) -> np.ndarray:
        """Embed texts. *Shape*: (texts, width), float32."""
        return np.asarray(self._opened().embed(texts, self.width, batch_size=self.batch_size))

    def _opened(self) -> Any:  # noqa: ANN401 - edgebert.load is typed as a model of any task
        if getattr(self, "_model", None) is None:
            self._model = edgebert.load(self.bundle)
        return self._model

    def __sklearn_is_fitted__(self) -> bool:
        """Return True: there is nothing to fit."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings, without the open bundle."""
        return {name: value for name, value in super().__getstate__().items() if name != "_model"}
