"""Convert an FP32 graph to FP16 with some nodes left in FP32, and emulate a GPU that runs it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from edgebert.exporters.positions import position_nodes
from edgebert.exporters.quantize.graph import array, replace_nodes

FP32, FP16 = TensorProto.FLOAT, TensorProto.FLOAT16
SMALLEST, LARGEST = 5.96e-8, 65504.0
# ONNX Runtime has no FP16 kernel for these, or only one that computes in FP32.
ALWAYS_FP32 = ("CumSum", "Max", "Min", "Range", "TopK")


def to_fp16(model: onnx.ModelProto, keep: Collection[str] = ()) -> onnx.ModelProto:
    """Convert weights and arithmetic to FP16; inputs and outputs keep their types, and position ids stay exact.

    A value between two FP32 nodes is never cast to FP16.

    Args:
        model: FP32 graph.
        keep: First outputs of the nodes that stay in FP32.
    """
    result = onnx.ModelProto.FromString(model.SerializeToString())
    floats = tensors_of_type(result, "tensor(float)")
    kept = {node.output[0] for node in result.graph.node if node.output[0] in keep or node.op_type in ALWAYS_FP32}
    kept |= position_nodes(result, floats)
    # Names of every float value in each precision that exists so far.
    wide, half = _split_weights(result, kept)
    wide |= {value.name: value.name for value in result.graph.input if value.name in floats}
    results, nodes = {value.name for value in result.graph.output}, []
    for node in result.graph.node:
        own, other, to = (wide, half, FP32) if node.output[0] in kept else (half, wide, FP16)
        for at, name in enumerate(node.input):
            if name in floats and name not in own:
                own[name] = f"{name}.{'fp32' if to == FP32 else 'fp16'}"
                nodes.append(helper.make_node("Cast", [other[name]], [own[name]], own[name], to=to))
            node.input[at] = own.get(name, name)
        nodes.append(node)
        if to == FP16:
            _convert_attributes(node, FP32, FP16)
        for at, name in enumerate(node.output):
            if name not in floats:
                continue
            own[name] = f"{name}.fp16" if to == FP16 and name in results else name
            node.output[at] = own[name]
            if own[name] != name:
                wide[name] = name
                nodes.append(helper.make_node("Cast", [own[name]], [name], f"{name}.cast", to=FP32))
    replace_nodes(result, nodes)
    del result.graph.value_info[:]
    return result


def emulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """Make an FP16 graph run in FP32 with every FP16 value rounded, so that it overflows as on a GPU.

    ONNX Runtime on a CPU computes an FP16 graph in FP32 and drops the casts between nodes, so a value beyond 65504
    stays finite. It keeps casts that are in the file. Only values inside a fused kernel are rounded less often than on
    some hardware.
    """
    result = onnx.ModelProto.FromString(model.SerializeToString())
    halves = tensors_of_type(result, "tensor(float16)")
    for tensor in result.graph.initializer:
        if tensor.data_type == FP16:
            tensor.CopyFrom(numpy_helper.from_array(array(tensor).astype(np.float32), tensor.name))
    nodes: list[onnx.NodeProto] = []
    for node in result.graph.node:
        nodes.append(node)
        _convert_attributes(node, FP16, FP32)
        for at, name in enumerate(node.output):
            if name in halves:
                node.output[at] = exact = f"{name}.exact"
                nodes.append(helper.make_node("Cast", [exact], [f"{name}.rounded"], f"{name}.round", to=FP16))
                nodes.append(helper.make_node("Cast", [f"{name}.rounded"], [name], f"{name}.widen", to=FP32))
    replace_nodes(result, nodes)
    return result


def tensors_of_type(model: onnx.ModelProto, kind: str) -> set[str]:
    """Names of a graph's values (weights too) with this ONNX Runtime type, for example `tensor(float)`."""
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    known = {value.name for value in probe.graph.output}
    made = [name for node in probe.graph.node for name in node.output if name and name not in known]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
    session = open_unoptimized(probe)
    values = [*session.get_inputs(), *session.get_outputs()]
    weights = {"tensor(float)": FP32, "tensor(float16)": FP16}[kind]
    stored = {tensor.name for tensor in model.graph.initializer if tensor.data_type == weights}
    return stored | {value.name for value in values if value.type == kind}


def open_unoptimized(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU without any optimization."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 2, 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _split_weights(model: onnx.ModelProto, kept: Collection[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Store each weight in the precisions of its readers, in place; return the names in FP32 and in FP16."""
    readers = [(name, node.output[0] in kept) for node in model.graph.node for name in node.input]
    read_wide = {name for name, is_kept in readers if is_kept}
    read_half = {name for name, is_kept in readers if not is_kept}
    wide, half, tensors = {}, {}, []
    for tensor in model.graph.initializer:
        name = tensor.name
        if tensor.data_type != FP32 or name in read_wide or name not in read_half:
            tensors.append(tensor)
        if tensor.data_type == FP32 and name in read_wide:
            wide[name] = name
        if tensor.data_type == FP32 and name in read_half:
            half[name] = f"{name}.fp16" if name in read_wide else name
            tensors.append(_rounded(tensor, half[name]))
    copies = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in tensors]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
    return wide, half


def _rounded(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    """Round a tensor to FP16; nonzero values stay nonzero, and too large ones become FP16's largest number."""
    values = array(tensor)
    sizes = np.where(values == 0, 0, np.clip(np.abs(values), SMALLEST, LARGEST))
    return numpy_helper.from_array((np.sign(values) * sizes).astype(np.float16), name)


def _convert_attributes(node: onnx.NodeProto, old: int, new: int) -> None:
    """Change the float type of a Cast and of a node's constants, in place."""
    if node.op_type == "ConstantOfShape" and not node.attribute and new == FP16:
        node.attribute.append(helper.make_attribute("value", helper.make_tensor("value", FP16, [1], [0.0])))
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == old:
            attribute.i = new
        for tensor in _tensors(attribute):
            if tensor.data_type == old == FP32:
                tensor.CopyFrom(_rounded(tensor, tensor.name))
            elif tensor.data_type == old:
                tensor.CopyFrom(numpy_helper.from_array(array(tensor).astype(np.float32), tensor.name))


def _tensors(attribute: onnx.AttributeProto) -> Iterator[onnx.TensorProto]:
    if attribute.type == onnx.AttributeProto.TENSOR:
        yield attribute.t
