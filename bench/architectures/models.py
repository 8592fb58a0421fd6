"""The four models, made from transformers' configurations and a seed. Nothing is downloaded or trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

ENCODER, DECODER = "encoder", "decoder"
ENCODER_DECODER, ENCODER_DECODER_HALF = "encoder-decoder", "encoder-decoder-half"
ARCHITECTURES = (ENCODER, DECODER, ENCODER_DECODER, ENCODER_DECODER_HALF)
MODELS = {
    ENCODER: "BERT-base",
    DECODER: "GPT-2 small",
    ENCODER_DECODER: "T5-base, 12 + 12 layers",
    ENCODER_DECODER_HALF: "T5-base's shape, 6 + 6 layers",
}
# Two labels for a text or a pair; nine tags, as in CoNLL 2003.
CLASSES, TAGS = 2, 9


@dataclass(frozen=True)
class Shape:
    """Sizes that all models share."""

    width: int
    layers: int
    heads: int
    ffn_width: int
    positions: int


FULL = Shape(width=768, layers=12, heads=12, ffn_width=3072, positions=512)
TINY = Shape(width=64, layers=2, heads=4, ffn_width=128, positions=64)
VOCABULARY = {ENCODER: 30522, DECODER: 50257, ENCODER_DECODER: 32128, ENCODER_DECODER_HALF: 32128}
TINY_VOCABULARY = 512


def vocabulary(architecture: str, tiny: bool) -> int:
    """Number of rows in the model's word table."""
    return TINY_VOCABULARY if tiny else VOCABULARY[architecture]


def config_of(architecture: str, tiny: bool, tags: bool = False) -> PretrainedConfig:
    """Return the configuration of a model. For the encoder it includes the number of labels of its head."""
    shape, words = TINY if tiny else FULL, vocabulary(architecture, tiny)
    if architecture == ENCODER:
        return _bert(shape, words, TAGS if tags else CLASSES)
    if architecture == DECODER:
        return _gpt2(shape, words, positions=shape.positions if tiny else 1024)
    return _t5(shape, words, shape.layers if architecture == ENCODER_DECODER else shape.layers // 2)


def build(architecture: str, tiny: bool, seed: int, tags: bool = False) -> PreTrainedModel:
    """Make the model in evaluation mode, with random FP32 weights."""
    import torch
    import transformers

    torch.manual_seed(seed)
    return getattr(transformers, class_name(architecture, tags))(config_of(architecture, tiny, tags)).eval()


def class_name(architecture: str, tags: bool = False) -> str:
    """Return the model's class in transformers."""
    if architecture == ENCODER:
        return "BertForTokenClassification" if tags else "BertForSequenceClassification"
    return "GPT2LMHeadModel" if architecture == DECODER else "T5ForConditionalGeneration"


def parameters(model: PreTrainedModel) -> dict[str, int]:
    """Count the weights of a model, each once: all weights, and those of the word table."""
    table = model.get_input_embeddings().weight.numel()
    return {"all": sum(each.numel() for each in model.parameters()), "word_table": table}


def _bert(shape: Shape, words: int, labels: int) -> PretrainedConfig:
    from transformers import BertConfig

    return BertConfig(
        vocab_size=words,
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.ffn_width,
        max_position_embeddings=shape.positions,
        num_labels=labels,
    )


def _gpt2(shape: Shape, words: int, positions: int) -> PretrainedConfig:
    """GPT-2's configuration: GELU (tanh) as one operator instead of eight, and no end of text, to force a length."""
    from transformers import GPT2Config

    return GPT2Config(
        vocab_size=words,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        n_inner=shape.ffn_width,
        n_positions=positions,
        activation_function="gelu_pytorch_tanh",
        **_endless(bos_token_id=None),
    )


def _t5(shape: Shape, words: int, layers: int) -> PretrainedConfig:
    from transformers import T5Config

    return T5Config(
        vocab_size=words,
        d_model=shape.width,
        d_kv=shape.width // shape.heads,
        d_ff=shape.ffn_width,
        num_layers=layers,
        num_heads=shape.heads,
        decoder_start_token_id=0,
        **_endless(),
    )


def _endless(**more: Any) -> dict[str, Any]:
    return {"eos_token_id": None, **more}
