"""A family's model with two heads: the family's own for whole texts, and one for every token."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
from transformers.utils import ModelOutput

from edgebert.compress import arch

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from edgebert.tasks.training import ModelClass


@dataclass
class JointOutput(ModelOutput):  # type: ignore[misc]
    """*Shape*: intents (batch, intents), slots (batch, length, tags), hidden states as in the encoder."""

    intent_logits: Tensor | None = None
    slot_logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


def joint_class(config: PreTrainedConfig) -> ModelClass:
    """The class for intents and slots of a config's family.

    Intents come from the family's head for sequence classification, slot tags from a linear layer over all rows (Chen,
    Zhuo, Wang 2019, arXiv:1902.10909). In the config, the labels are the intents, and the list `slot_tags` holds the
    tags.
    """
    return _class_over(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)])


@cache
def _class_over(base: type[PreTrainedModel]) -> ModelClass:
    class IntentAndSlots(base):  # type: ignore[misc]
        def __init__(self, config: PreTrainedConfig) -> None:
            super().__init__(config)
            self.slot_dropout = nn.Dropout(_dropout(config))
            self.slot_classifier = nn.Linear(config.hidden_size, len(config.slot_tags))
            self.post_init()

        @classmethod
        def from_config(cls, config: PreTrainedConfig, **options: object) -> PreTrainedModel:
            return cls._from_config(config, **options)

        def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **options: object) -> JointOutput:
            mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
            encoded = self.base_model(input_ids, attention_mask=mask, return_dict=True, **options)
            rows, head = encoded.last_hidden_state, arch.sequence_head(self)
            return JointOutput(
                intent_logits=head.out(self.slot_dropout(head.activation(head.dense(arch.head_row(self, rows, mask))))),
                slot_logits=self.slot_classifier(self.slot_dropout(rows)),
                hidden_states=encoded.hidden_states,
            )

    IntentAndSlots.__name__ = base.__name__.replace("SequenceClassification", "IntentAndSlots")
    made: ModelClass = IntentAndSlots
    return made


def _dropout(config: PreTrainedConfig) -> float:
    """The config's dropout for heads, else for hidden states (DistilBERT calls it plain `dropout`)."""
    names = ("classifier_dropout", "hidden_dropout_prob", "dropout")
    return next(float(value) for name in names if (value := getattr(config, name, None)) is not None)
