"""Trace a model's graph in about half the time.

`torch.onnx.export` captures a model as a program, then traces this program twice more to replace operators for which
ONNX has no function. That takes more than half of its time. A BERT has a handful of such operators, and each stands for
another operator or for nothing, so here they are replaced one by one. The graph has the same operators in the same
order. A program with any other operator is traced again, as always.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import cache
from operator import getitem
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.fx import Node

if TYPE_CHECKING:
    from torch.export import ExportedProgram

ATEN = torch.ops.aten
COMPOSED = torch._C.DispatchKey.CompositeImplicitAutograd
# Composed operators that never return their input.
FRESH = (ATEN.linear.default, ATEN.matmul.default)
# The exporter removes these too.
CHECKS = (ATEN._assert_tensor_metadata.default, ATEN._assert_scalar.default, ATEN.sym_constrain_range_for_size.default)


@contextmanager
def quick_trace() -> Iterator[None]:
    """Context in which `torch.onnx.export` replaces operators one by one where that is enough.

    It changes two functions of PyTorch's exporter, which PyTorch does not document. If a version lacks them, nothing
    is changed.
    """
    try:
        from torch.onnx._internal.exporter import _decomp, _fx_passes, _registration

        full, overloads = _fx_passes.decompose_with_registry, _decomp.get_onnx_implemented_overloads
        parsed = _parsed_once()
    except (ImportError, AttributeError):
        yield
        return

    def quick(program: ExportedProgram, registry: Any) -> ExportedProgram:  # noqa: ANN401
        known = frozenset[object](overloads(registry)) | {getitem}
        return program if replace_operators(program, known) else full(program, registry)

    changed = _changed(_fx_passes, "decompose_with_registry", quick)
    with changed, _changed(_registration.ONNXRegistry, "from_torchlib", staticmethod(parsed)):
        yield


@contextmanager
def _changed(owner: object, name: str, value: object) -> Iterator[None]:
    before = vars(owner)[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@cache
def _parsed_once() -> Callable[..., object]:
    """The exporter's table of ONNX functions, which it otherwise parses from source code for every graph."""
    from torch.onnx._internal.exporter import _registration

    return cache(_registration.ONNXRegistry.from_torchlib)


def replace_operators(program: ExportedProgram, known: Collection[object]) -> bool:
    """Replace every operator that has no ONNX function by one that has, in place.

    Args:
        program: A captured program of a model in inference mode.
        known: Operators that have an ONNX function.

    Returns:
        Whether every operator of the program has one now. If not, the program still computes the same.
    """
    graph = program.graph_module.graph
    if not all(map(_is_plain, graph.nodes)):
        return False
    # The program's signature names the nodes of its outputs.
    with program.graph_module._set_replace_hook(program.graph_signature.get_replace_hook()):
        for node in list(graph.nodes):
            if node.target in CHECKS:
                graph.erase_node(node)
            elif node.target in REPLACEMENTS:
                node.replace_all_uses_with(REPLACEMENTS[node.target](node))
                graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    return all(node.target in known for node in graph.nodes if node.op == "call_function")


def _is_plain(node: Node) -> bool:
    """Whether a node is an operator whose replacement, if there is one for its kind, computes the same."""
    if node.op != "call_function":  # Blocks have code of their own, such as one without gradients.
        return node.op in ("placeholder", "output")
    if node.target is ATEN.dropout.default:
        return len(node.args) == 3 and not node.args[2]
    if node.target is ATEN.rsub.Scalar:
        return len(node.args) == 2 and not node.kwargs
    if node.target in IN_PLACE:
        return _is_own(_input(node)) and _has_one_type(node)
    writes = isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable
    return not writes or node.target in REPLACEMENTS


def _is_own(node: Node) -> bool:
    """Whether a node's only reader is the operator that writes over it: it and all that it is a view of.

    An operator that is composed of others may return its input without declaring it, as dropout does outside training.
    """
    while len(node.users) == 1 and isinstance(node.target, torch._ops.OpOverload):
        if all(given.alias_info is None for given in node.target._schema.returns):
            return node.target in FRESH or not node.target.has_kernel_for_dispatch_key(COMPOSED)
        node = _input(node)
    return False


def _has_one_type(node: Node) -> bool:
    """Whether all tensors of an operator have its type: one in place keeps the type, another one promotes it."""
    values = [given.meta.get("val") for given in (node, *node.args) if isinstance(given, Node)]
    return len({value.dtype for value in values if isinstance(value, Tensor)}) == 1


def _input(node: Node) -> Node:
    (given, *_) = node.args
    assert isinstance(given, Node)
    return given


def _converted(node: Node) -> Node:
    """Nothing if the type stays; a program for the CPU moves nothing to another device."""
    kind = node.meta["val"].dtype
    given = _input(node)
    return given if given.meta["val"].dtype == kind else _call(node, ATEN._to_copy.default, (given,), dtype=kind)


def _copied(node: Node) -> Node:
    """The rows of a permuted tensor may be viewed in another shape only if they are contiguous."""
    return _call(node, ATEN.clone.default, (_input(node),), memory_format=torch.contiguous_format)


def _renamed(node: Node) -> Node:
    return _call(node, SAME[node.target], node.args, **node.kwargs)


def _swapped(node: Node) -> Node:
    given, number = node.args
    return _call(node, ATEN.sub.Tensor, (number, given))


def _call(node: Node, operator: object, arguments: tuple[object, ...], **settings: object) -> Node:
    graph = node.graph
    with graph.inserting_before(node):
        made: Node = graph.call_function(operator, arguments, settings)  # type: ignore[arg-type]
    made.meta = dict(node.meta)
    return made


# Operators that write over their input, and those that make a new tensor.
IN_PLACE: dict[object, object] = {ATEN.add_.Tensor: ATEN.add.Tensor, ATEN.div_.Tensor: ATEN.div.Tensor}
# Operators with the same arguments.
SAME: dict[object, object] = {
    **IN_PLACE,
    ATEN.__and__.Tensor: ATEN.bitwise_and.Tensor,
    ATEN.item.default: ATEN._local_scalar_dense.default,
    ATEN.max.other: ATEN.maximum.default,
    ATEN.min.other: ATEN.minimum.default,
}
REPLACEMENTS: dict[object, Callable[[Node], Node]] = {
    **dict.fromkeys(SAME, _renamed),
    **dict.fromkeys((ATEN.to.dtype, ATEN.to.device, ATEN.to.dtype_layout), _converted),
    **dict.fromkeys((ATEN.dropout.default, ATEN.lift_fresh_copy.default, ATEN.alias.default), _input),
    **dict.fromkeys((ATEN.detach.default, ATEN.detach_.default), _input),
    ATEN.contiguous.default: _copied,
    ATEN.rsub.Scalar: _swapped,
}
