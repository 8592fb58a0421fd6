"""The encoder families, and where each keeps its parts: the one table of Hugging Face's module names.

`compress.arch` reads and writes models through it. Paths to encoder layers start at the base model (without its head),
paths inside a layer at the layer, paths to heads at the whole model. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from edgebert.errors import CheckpointError


@dataclass(frozen=True)
class LayerPaths:
    """Names of the parts inside one encoder layer; query, key and value are equal if one module computes all three."""

    attention: str = "attention.self"
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attention_output: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    ffn_in: str = "intermediate.dense"
    ffn_activation: str = "intermediate.intermediate_act_fn"
    ffn_out: str = "output.dense"
    ffn_norm: str = "output.LayerNorm"


@dataclass(frozen=True)
class HeadPaths:
    """Names of the parts of a sequence classification head over the first row, and what is between them."""

    dense: str
    activation: Literal["tanh", "relu", "gelu", "none", "config"]  # config: its entry pooler_hidden_act
    out: str


@dataclass(frozen=True)
class Family:
    """Module names and properties of one family.

    Attributes:
        model_type: The family's name in `config.json`.
        prefix: Prefix of the encoder's weights in the files of a task model.
        layer_class: Class of its encoder layers.
        sequence_head: The head for sequence classification.
        masked_lm_head: The modules of the head for masked language modelling, in order.
        layers: The list of encoder layers.
        in_group: Name of the layer inside each of `layers`, if these are groups of layers with shared weights.
        words: The word table.
        joined: How one module computes query, key and value: not at all, one after the other, or so for each head.
        layer: Parts of a layer.
        ffn_size: Config entry for the number of feed-forward neurons.
        has_segments: Whether a model takes `token_type_ids` that tell the first text of a pair from the second.
        segments_optional: Whether a model with an empty segment table ignores segments.
        adds_first_segment: Whether the first segment's row is added to every token, whatever the text.
        skips_padding: Whether positions are counted over tokens that are not padding, from the padding id plus 1.
        reads_neighbours: Whether a token's embedding takes in the tokens beside it, padding included.
        heads_alike: Whether the heads of all tasks have weights with the same names, so only the class tells them
            apart.
        first_layer_stays: Whether the first layer cannot be replaced by another one.
        standard_layers: Whether a layer is attention, norm, feed-forward, norm, all of one width, and attention reads
            only its rows. Only such layers can be pruned and rewritten for inference.
        narrows: Whether students may be narrower than their teacher.
    """

    model_type: str
    prefix: str
    layer_class: str
    sequence_head: HeadPaths
    masked_lm_head: tuple[str, ...]
    layers: str = "encoder.layer"
    in_group: str = ""
    words: str = "embeddings.word_embeddings"
    joined: Literal["no", "whole", "by head"] = "no"
    layer: LayerPaths = field(default_factory=LayerPaths)
    ffn_size: str = "intermediate_size"
    has_segments: bool = True
    segments_optional: bool = False
    adds_first_segment: bool = False
    skips_padding: bool = False
    reads_neighbours: bool = False
    heads_alike: bool = False
    first_layer_stays: bool = False
    standard_layers: bool = True
    narrows: bool = False

    def reads_segments(self, rows: int) -> bool:
        """Whether a model with this many rows for segments tells the second text of a pair from the first."""
        return self.has_segments and (rows > 0 or not self.segments_optional)

    @property
    def class_prefix(self) -> str:
        """Prefix of its models' class names."""
        if self.layer_class == "TransformerBlock":
            return "DistilBert"
        return self.layer_class.removesuffix("Layer").removesuffix("Encoder")


BERT = Family(
    "bert",
    "bert",
    "BertLayer",
    HeadPaths("bert.pooler.dense", "tanh", "classifier"),
    ("cls",),
    narrows=True,
)

DISTILBERT = Family(
    "distilbert",
    "distilbert",
    "TransformerBlock",
    HeadPaths("pre_classifier", "relu", "classifier"),
    ("vocab_transform", "activation", "vocab_layer_norm", "vocab_projector"),
    layers="transformer.layer",
    layer=LayerPaths(
        attention="attention",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        attention_norm="sa_layer_norm",
        ffn_in="ffn.lin1",
        ffn_activation="ffn.activation",
        ffn_out="ffn.lin2",
        ffn_norm="output_layer_norm",
    ),
    ffn_size="hidden_dim",
    has_segments=False,
)

ELECTRA = Family(
    "electra",
    "electra",
    "ElectraLayer",
    HeadPaths("classifier.dense", "gelu", "classifier.out_proj"),
    ("generator_predictions", "generator_lm_head"),
)

ROBERTA = Family(
    "roberta",
    "roberta",
    "RobertaLayer",
    HeadPaths("classifier.dense", "tanh", "classifier.out_proj"),
    ("lm_head",),
    has_segments=False,
    adds_first_segment=True,
    skips_padding=True,
)
# The same layers, heads and positions with other class names; transformers keeps the weights' names.
XLM_ROBERTA = replace(ROBERTA, model_type="xlm-roberta", layer_class="XLMRobertaLayer")
CAMEMBERT = replace(ROBERTA, model_type="camembert", layer_class="CamembertLayer")

MPNET = Family(
    "mpnet",
    "mpnet",
    "MPNetLayer",
    HeadPaths("classifier.dense", "tanh", "classifier.out_proj"),
    ("lm_head",),
    layer=LayerPaths(
        attention="attention.attn",
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attention_output="attention.attn.o",
        attention_norm="attention.LayerNorm",
    ),
    has_segments=False,
    skips_padding=True,
    # Scores have a bias for the distance between two tokens, shared by all layers, which the rewritten graph lacks.
    standard_layers=False,
)

MOBILEBERT = Family(
    "mobilebert",
    "mobilebert",
    "MobileBertLayer",
    HeadPaths("mobilebert.pooler.dense", "tanh", "classifier"),
    ("cls",),
    reads_neighbours=True,
    standard_layers=False,
)

# Ettin's encoders, mmBERT and GTE-ModernBERT are models of this family.
MODERNBERT = Family(
    "modernbert",
    "model",
    "ModernBertEncoderLayer",
    HeadPaths("head", "none", "classifier"),
    ("head", "decoder"),
    layers="layers",
    words="embeddings.tok_embeddings",
    joined="whole",
    layer=LayerPaths(
        attention="attn",
        query="attn.Wqkv",
        key="attn.Wqkv",
        value="attn.Wqkv",
        attention_output="attn.Wo",
        attention_norm="attn_norm",
        ffn_in="mlp.Wi",
        ffn_activation="mlp.act",
        ffn_out="mlp.Wo",
        ffn_norm="mlp_norm",
    ),
    has_segments=False,
    heads_alike=True,
    # The first layer has no norm before its attention.
    first_layer_stays=True,
    # Norms before the blocks, rotary positions, local attention, gated neurons: the rewritten graph has none of these.
    standard_layers=False,
)

DEBERTA_V2 = Family(  # and v3
    "deberta-v2",
    "deberta",
    "DebertaV2Layer",
    HeadPaths("pooler.dense", "config", "classifier"),
    ("cls",),
    layer=LayerPaths(
        query="attention.self.query_proj", key="attention.self.key_proj", value="attention.self.value_proj"
    ),
    segments_optional=True,
    # Scores include products of contents and distances, which the rewritten graph lacks.
    standard_layers=False,
)

ALBERT = Family(
    "albert",
    "albert",
    "AlbertLayer",
    HeadPaths("albert.pooler", "tanh", "classifier"),
    ("predictions",),
    layers="encoder.albert_layer_groups",
    in_group="albert_layers.0",
    layer=LayerPaths(
        attention="attention",
        query="attention.query",
        key="attention.key",
        value="attention.value",
        attention_output="attention.dense",
        attention_norm="attention.LayerNorm",
        ffn_in="ffn",
        ffn_activation="activation",
        ffn_out="ffn_output",
        ffn_norm="full_layer_layer_norm",
    ),
    # Layers share their weights: pruning one layer prunes all, and the rewritten graph would store each separately.
    standard_layers=False,
)

DEBERTA_V1 = replace(
    DEBERTA_V2,
    model_type="deberta",
    layer_class="DebertaLayer",
    layer=LayerPaths(query="attention.self.in_proj", key="attention.self.in_proj", value="attention.self.in_proj"),
    joined="by head",
)

FAMILIES = {
    family.model_type: family
    for family in (
        *(BERT, DISTILBERT, ELECTRA, ROBERTA, XLM_ROBERTA, CAMEMBERT, MPNET, MOBILEBERT, MODERNBERT),
        *(DEBERTA_V2, DEBERTA_V1, ALBERT),
    )
}
# EdgeBERT's own config entries: heads and neurons of each layer, and the rank of a low-rank word table.
SHAPES_KEY, RANK_KEY = "edgebert_layer_shapes", "edgebert_embedding_rank"
LAYER_CLASSES = {family.layer_class: family for family in FAMILIES.values()}
# Weights with one row per output of a classification head.
CLASSIFIER_WEIGHTS = ("classifier.weight", "classifier.out_proj.weight")


def family_named(model_type: object) -> Family:
    """Return the family with this name.

    Raises:
        CheckpointError: It is not supported; the message lists those that are.
    """
    if not isinstance(model_type, str) or model_type not in FAMILIES:
        raise CheckpointError(f"model family {model_type!r:.60} is not supported; supported: {', '.join(FAMILIES)}")
    return FAMILIES[model_type]


def family_of_class(name: str) -> Family | None:
    """Return the family of a model class such as `BertForMaskedLM`; None if it is not supported."""
    return next((family for family in FAMILIES.values() if name.startswith(family.class_prefix)), None)


def families_that(condition: Callable[[Family], bool]) -> str:
    """Names of the families that satisfy a condition, as a message shows them."""
    return ", ".join(name for name, family in FAMILIES.items() if condition(family))
