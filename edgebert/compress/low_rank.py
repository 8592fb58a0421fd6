"""A low-rank word table: one narrow row per token, and one matrix that widens all rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edgebert.compress import arch
from edgebert.compress.families import RANK_KEY
from edgebert.errors import SettingsError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


class LowRankEmbedding(nn.Module):
    """A table (tokens x rank) times a matrix (rank x width), in place of a table (tokens x width).

    Lan et al. 2019, arXiv:1909.11942, section 3.1.
    """

    def __init__(self, pieces: int, width: int, rank: int, padding_idx: int | None) -> None:
        """Initialise both factors at random."""
        super().__init__()
        self.table = nn.Embedding(pieces, rank, padding_idx)
        self.widen = nn.Linear(rank, width, bias=False)

    @property
    def padding_idx(self) -> int | None:
        """Id of the padding token."""
        return self.table.padding_idx

    def forward(self, ids: Tensor) -> Tensor:
        """Rows of the product. *Shape*: (batch, length) to (batch, length, width)."""
        rows: Tensor = self.widen(self.table(ids))
        return rows


def noted_rank(config: PreTrainedConfig) -> int | None:
    """Rank of the word table in a config; None if the table is not factored."""
    rank: int | None = getattr(config, RANK_KEY, None)
    return rank


def table_width(config: PreTrainedConfig) -> int:
    """Width of a model's word table; in some families it is smaller than the encoder's."""
    return int(getattr(config, "embedding_size", None) or config.hidden_size)


def check_rank(config: PreTrainedConfig, rank: int) -> None:
    """Refuse a rank to which a model's word table cannot be reduced.

    Raises:
        SettingsError: The rank is not below the table's width, or the table is already of low rank.
    """
    if noted_rank(config) is not None:
        raise SettingsError(f"vocabulary.rank is {rank}: the word table has the rank {noted_rank(config)} already")
    if rank >= table_width(config):
        raise SettingsError(
            f"vocabulary.rank is {rank}, but the word table is {table_width(config)} wide; give a lower rank"
        )


def resize_table(model: PreTrainedModel, rank: int) -> None:
    """Give a model an uninitialised word table of this rank, and write the rank into the config."""
    whole = arch.words(model)
    arch.set_words(model, LowRankEmbedding(whole.num_embeddings, whole.embedding_dim, rank, whole.padding_idx))
    setattr(model.config, RANK_KEY, rank)


def factor_table(model: PreTrainedModel, rank: int) -> float:
    """Replace a model's word table by its best approximation of this rank (truncated SVD).

    Returns:
        Share of the table's squared norm that is kept (Eckart and Young 1936).

    Raises:
        SettingsError: The rank is not lower than the table's.
    """
    check_rank(model.config, rank)
    whole = arch.words(model).weight.detach().double()
    if rank >= len(whole):
        raise SettingsError(f"vocabulary.rank is {rank}, but {len(whole)} tokens are left; give a lower rank")
    left, strengths, right = torch.linalg.svd(whole, full_matrices=False)
    resize_table(model, rank)
    words = arch.words(model)
    with torch.no_grad():
        words.table.weight.copy_(left[:, :rank] * strengths[:rank])
        words.widen.weight.copy_(right[:rank].T)
    return float(strengths[:rank].square().sum() / strengths.square().sum())
