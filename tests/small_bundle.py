"""A bundle made by hand without torch: its graph returns the number of tokens and the sum of their ids."""

from pathlib import Path

import onnx
from manifests import CONTENT
from onnx import TensorProto, helper
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from edgebert.bundle import write_manifest

VOCABULARY = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4}


def write_small_bundle(folder: Path, name: str = "small", max_length: int = 8) -> Path:
    """Write a text classifier with the labels `short` and `long`, for texts made of `a` and `b`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(WordPiece(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    onnx.save(_graph(), folder / "model.onnx")
    choice = {"intra_op_threads": 1, "length_buckets": [8], "provider": "CPUExecutionProvider", "weight_type": "uint8"}
    manifest = {
        **CONTENT,
        "name": name,
        "task": "text-classification",
        "labels": ["short", "long"],
        "inputs": ["input_ids", "attention_mask"],
        "segments": 1,
        "max_length": max_length,
        "head": {"settings": {}},
        "precision": "fp32",
        "runtime": {"default": "onnxruntime", "graphs": {"onnxruntime": "model.onnx"}},
        "profile": {"export": choice},
        "data": {"metric": "accuracy", "columns": {"text": "text", "text_pair": "", "label": "label"}},
    }
    write_manifest(folder, manifest)
    return folder


def _graph() -> onnx.ModelProto:
    """Logits: six (`short`), and the number of tokens plus a thousandth of the sum of their ids (`long`)."""
    shape = ["batch", "length"]
    inputs = [helper.make_tensor_value_info(at, TensorProto.INT64, shape) for at in ("input_ids", "attention_mask")]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("small", TensorProto.FLOAT, [], [0.001]),
        helper.make_tensor("zero", TensorProto.FLOAT, [], [0.0]),
        helper.make_tensor("six", TensorProto.FLOAT, [], [6.0]),
    ]
    nodes = [
        helper.make_node("ReduceSum", ["attention_mask", "axis"], ["tokens"]),
        helper.make_node("Cast", ["tokens"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["input_ids", "axis"], ["ids"]),
        helper.make_node("Cast", ["ids"], ["sum"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["sum", "small"], ["part"]),
        helper.make_node("Add", ["count", "part"], ["long"]),
        helper.make_node("Mul", ["count", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "six"], ["short"]),
        helper.make_node("Concat", ["short", "long"], ["logits"], axis=1),
    ]
    graph = helper.make_graph(nodes, "small", inputs, [output], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
