"""Sentence similarity: the encoder's rows pooled to one vector per text, and losses that compare vectors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.utils import ModelOutput

from edgebert.compress.batch import Item, pad_batch
from edgebert.compress.labels import Labels
from edgebert.compress.optimum_tables import model_class_for
from edgebert.compress.vector_modules import VectorModules, attached
from edgebert.data.examples import Example
from edgebert.errors import DataError, SettingsError
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.tasks.regression.train import correlation
from edgebert.tasks.similarity.predict import SentenceSimilarity
from edgebert.tasks.similarity.spec import Settings
from edgebert.tasks.training import Loading, ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

# Factor for cosines when one of a batch must be found: the inverse of a temperature of 0.05.
SCALE = 20.0


class SimilarityTraining(TrainingTask[Settings, SentenceSimilarity]):
    """Losses that compare vectors, for an encoder without a head."""

    has_own_weights = False

    @property
    def rows(self) -> Rows:
        """Rows that the pooling reads."""
        return "first" if self.settings.pooling == "cls" else "all"

    def score(self, metric: str, expected: Sequence[float], predicted: Sequence[float]) -> float:
        """Correlation of cosines with scores."""
        return correlation(metric, expected, predicted)

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """No labels: scores have none.

        Raises:
            DataError: A row has no second text, lacks a score that training or a metric needs, or the recipe names
                labels.
        """
        if data.label_names:
            raise DataError(f"data.label_names is {data.label_names}; scores have no names, so leave it out")
        settings = self.settings
        for split, rows in splits.items():
            scored = settings.objective == "scores" or split != "train"
            for row in rows:
                if row.text_pair is None:
                    raise DataError(f"{row.place}: no second text; name its column in data.text_pair")
                if scored and row.label is None:
                    raise DataError(
                        f"{row.place}: no score; expected a number from {settings.range} in the column data.label"
                    )
        return Labels([], [])

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's encoder, without the pooler that some families add."""
        return _Encoders(model_class_for("feature-extraction", config.model_type))

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Embeddings. *Shape*: (batch, width), float32; rows of length 1 unless `normalize` is off."""
        if "vectors" in result:
            return (_unit(result["vectors"].float(), self.settings.normalize),)
        vectors: tuple[Tensor, ...] = self.head_module()(result.last_hidden_state.float(), result.attention_mask)
        return vectors

    def own_windows(self, task: SentenceSimilarity, example: Example) -> list[Encoded]:
        """The first text; the second one is in the targets, so that no batch separates them."""
        return task.encode(example.text)

    def targets(self, task: SentenceSimilarity, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """The second text, None for a single text; and the score, NaN if there is none."""
        second = None if example.text_pair is None else task.encode(example.text_pair)[0]
        return [{"second": second, "score": math.nan if example.label is None else float(example.label)}]

    def collate(self, items: Sequence[Item], pad_id: int = 0) -> dict[str, Tensor]:
        """One batch of all first texts, then all second texts.

        Returns:
            The result of `pad_batch` for the texts; `pairs`: rows of both texts of every pair. *Shape*: (pairs, 2),
            int64;
            `scores`: their scores. *Shape*: (pairs,), float32.
        """
        paired = [at for at, item in enumerate(items) if item["second"] is not None]
        seconds = [items[at]["second"] for at in paired]
        texts = [{name: item[name] for name in ("input_ids", "token_type_ids")} for item in items]
        texts += [{"input_ids": second.ids, "token_type_ids": second.type_ids} for second in seconds]
        rows = [[at, len(items) + number] for number, at in enumerate(paired)]
        pairs = torch.tensor(rows, dtype=torch.long).view(-1, 2)
        scores = torch.tensor([items[at]["score"] for at in paired], dtype=torch.float32)
        return {**pad_batch(texts, pad_id), "pairs": pairs, "scores": scores}

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """The objective's loss, averaged over the widths (Kusupati et al. 2022, arXiv:2205.13147); 0 without pairs.

        For scores: mean squared error of the cosines (Reimers and Gurevych 2019, arXiv:1908.10084, section 3) to the
        scores, scaled to 0..1. On the STS benchmark's validation pairs MiniLM reached a Spearman correlation of 0.895
        with it and 0.876 with CoSENT (two epochs at 3e-5, one run each; 0.855 and 0.859 on the test pairs).
        """
        pairs, scores = batch["pairs"], batch["scores"]
        if self.settings.objective == "scores":
            pairs, scores = pairs[scores.isfinite()], scores[scores.isfinite()]
        if not len(pairs):
            return ours[0].sum() * 0.0
        terms = []
        for vectors in self._cuts(ours[0]):
            left, right = vectors[pairs[:, 0]], vectors[pairs[:, 1]]
            if self.settings.objective == "scores":
                terms.append(functional.mse_loss((left * right).sum(-1), self._scaled(scores)))
            else:
                terms.append(multiple_negatives(left, right))
        return torch.stack(terms).mean()

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Difference of the cosines of all texts of a batch, averaged over the widths, plus that of the embeddings.

        A student whose width differs from its teacher's learns only the cosines. The temperature is not used.
        """
        wanted = theirs[0].float()
        unit = functional.normalize(wanted, dim=-1)
        loss = torch.stack([relations(vectors, unit) for vectors in self._cuts(ours[0])]).mean()
        if ours[0].shape == wanted.shape:
            loss = loss + distance(ours[0], wanted)
        return loss

    def head(self, model: PreTrainedModel) -> nn.Module:
        """Pooling, later modules, and normalization unless `normalize` is off."""
        modules, pooled_width = attached(model), self.pooled_width(int(model.config.hidden_size))
        self.check_width(modules.width(pooled_width) if modules else pooled_width)
        return self.head_module(modules)

    def head_module(self, modules: VectorModules | None = None) -> EmbeddingHead:
        """Make the head for these settings, with a folder's modules after the pooling."""
        return EmbeddingHead(self.settings.pooling, self.settings.normalize, modules)

    def pooled_width(self, hidden_size: int) -> int:
        """Width of a pooled vector for rows of this width."""
        return hidden_size * len(self.settings.pooling.split("+"))

    def check_width(self, full: int) -> None:
        """Refuse `head.widths` that are not smaller than the embedding's width.

        Raises:
            SettingsError: Names the embedding's width.
        """
        for width in self.settings.widths:
            if width >= full:
                raise SettingsError(
                    f"head.widths {list(self.settings.widths)}: embeddings are {full} wide; give narrower widths only"
                )

    def _scaled(self, scores: Tensor) -> Tensor:
        return (scores - self.settings.low) / (self.settings.high - self.settings.low)

    def _cuts(self, vectors: Tensor) -> list[Tensor]:
        """Embeddings truncated to every width and normalized again, the full ones last."""
        self.check_width(vectors.shape[1])
        widths = (*self.settings.widths, vectors.shape[1])
        return [functional.normalize(vectors[:, :width].float(), dim=-1) for width in widths]


class EmbeddingHead(nn.Module):
    """Pooling, later modules and normalization in the graph: its outputs are ready to compare."""

    def __init__(self, pooling: str, normalize: bool, modules: VectorModules | None = None) -> None:
        """Take poolings, joined by "+", whether to normalize, and the modules in between."""
        super().__init__()
        self.pooling, self.normalize, self.vector_modules = pooling, normalize, modules

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Embeddings. *Shape*: (batch, width)."""
        vectors = pooled(hidden, attention_mask, self.pooling)
        if self.vector_modules is not None:
            vectors = self.vector_modules(vectors)
        return (_unit(vectors, self.normalize),)


def _unit(vectors: Tensor, normalize: bool) -> Tensor:
    return functional.normalize(vectors, dim=-1) if normalize else vectors


def pooled(hidden: Tensor, attention_mask: Tensor, pooling: str) -> Tensor:
    """One vector per text: several poolings are concatenated (Reimers and Gurevych 2019, arXiv:1908.10084, section 3).

    *Shape*: hidden (batch, rows, width), where [CLS] pooling reads only the first row; mask (batch, length), padding on
    the right.
    """
    vectors = [_POOLINGS[name](hidden, attention_mask) for name in pooling.split("+")]
    return vectors[0] if len(vectors) == 1 else torch.cat(vectors, dim=-1)


def _first(hidden: Tensor, mask: Tensor) -> Tensor:
    return hidden[:, 0]


def _sum(hidden: Tensor, weights: Tensor) -> Tensor:
    return (hidden * weights.unsqueeze(-1).to(hidden.dtype)).sum(1)


def _mean(hidden: Tensor, weights: Tensor) -> Tensor:
    return _sum(hidden, weights) / weights.sum(1, keepdim=True).to(hidden.dtype)


def _mean_sqrt_length(hidden: Tensor, mask: Tensor) -> Tensor:
    return _sum(hidden, mask) / mask.sum(1, keepdim=True).to(hidden.dtype).sqrt()


def _weighted_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean with weights that increase by 1 per token (Muennighoff 2022, arXiv:2202.08904, section 3.1)."""
    return _mean(hidden, mask * mask.cumsum(1))


def _maximum(hidden: Tensor, mask: Tensor) -> Tensor:
    # After a LayerNorm no number comes near this; FP16 can hold it.
    return hidden.masked_fill(mask.unsqueeze(-1) == 0, -60000.0).amax(1)


def _last(hidden: Tensor, mask: Tensor) -> Tensor:
    at = (mask.sum(1) - 1).view(-1, 1, 1).expand(-1, 1, hidden.shape[-1])
    return hidden.gather(1, at).squeeze(1)


_POOLINGS = {
    "cls": _first,
    "max": _maximum,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt_length,
    "weightedmean": _weighted_mean,
    "lasttoken": _last,
}


def multiple_negatives(left: Tensor, right: Tensor) -> Tensor:
    """Cross-entropy of finding each left text's own right text among all of the batch; cosines times 20.

    *Shape* of both: (pairs, width). Henderson et al. 2017, arXiv:1705.00652, section 4.4.
    """
    return functional.cross_entropy(SCALE * _cosines(left, right), torch.arange(len(left), device=left.device))


def relations(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared difference of the cosines between all texts of a batch; widths may differ.

    *Shape*: (batch, width) each. Tung and Mori 2019, arXiv:1907.09682.
    """
    return functional.mse_loss(_cosines(ours, ours), _cosines(theirs, theirs))


def distance(ours: Tensor, theirs: Tensor) -> Tensor:
    """Mean squared distance of two embeddings, relative to their length. *Shape* of both: (batch, width).

    For unit vectors this is 2 - 2 cos. Reimers and Gurevych 2020, arXiv:2004.09813, equation 1.
    """
    wanted = theirs.float()
    squares = (ours.float() - wanted).pow(2).sum(-1)
    return (squares / wanted.pow(2).sum(-1).clamp(min=1e-12)).mean()


def _cosines(left: Tensor, right: Tensor) -> Tensor:
    """Cosines of all left rows with all right rows, in float32 even if training is not."""
    with torch.autocast(left.device.type, enabled=False):
        return left.float() @ right.float().T


@dataclass
class _Rows(ModelOutput):  # type: ignore[misc]
    """An encoder's rows and padding mask, in a type of its own, which distributed training can take apart."""

    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attention_mask: Tensor | None = None
    vectors: Tensor | None = None


class _Encoders:
    """Loads encoders whose results include the padding mask, which pooling needs."""

    def __init__(self, auto_class: ModelClass) -> None:
        self.auto_class = auto_class

    def from_pretrained(self, folder: str, **options: object) -> tuple[PreTrainedModel, Loading]:
        """A checkpoint's model, and loading information if `options` ask for it."""
        model, loading = self.auto_class.from_pretrained(folder, **options)
        _prepare(model)
        return model, loading

    def from_config(self, config: PreTrainedConfig, **options: object) -> PreTrainedModel:
        """A model with random weights."""
        model = self.auto_class.from_config(config, **options)
        _prepare(model)
        return model


def _prepare(model: PreTrainedModel) -> None:
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    model.register_forward_hook(_keep_mask, with_kwargs=True)


def _keep_mask(module: nn.Module, args: object, kwargs: Mapping[str, Tensor], result: ModelOutput) -> _Rows:
    rows, mask, modules = result.last_hidden_state, kwargs["attention_mask"], attached(module)
    # Here, and not in `outputs`: in distributed training, a forward pass's inputs are split between processes.
    vectors = None if modules is None else modules(pooled(rows.float(), mask, modules.pooling))
    return _Rows(rows, result.get("hidden_states"), mask, vectors)
