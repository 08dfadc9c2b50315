"""Operators that ONNX has no translation of become operators that it has one of: one at a time, where that is safe.

Torch's own way (`ExportedProgram.run_decompositions`) traces the whole network twice more, though in most networks a
few operators change and in some none. Here the nodes that stay are copied, and each of the few is traced by itself. It
is done where every operator is one of which it is known that this gives the very nodes that torch gives, names and
order included (where lengths vary: order alone, since torch counts in its names what it computes of lengths);
otherwise torch does it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import torch
from torch._ops import OpOverload
from torch.export import ExportedProgram
from torch.export.graph_signature import ExportGraphSignature, TensorArgument
from torch.fx import Graph, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

Table = Mapping[Any, Callable[..., Any]]
"""By operator of torch: what it is made of."""

EMPTY: Mapping[str, Any] = MappingProxyType({})
aten = torch.ops.aten
TRACED_ALONE: frozenset[Any] = frozenset(
    {
        aten.__and__.Tensor,
        aten.adaptive_avg_pool2d.default,
        aten.chunk.default,
        aten.conv_transpose2d.input,
        aten.flatten.using_ints,
        aten.lift_fresh_copy.default,
        aten.reshape.default,
        aten.square.default,
        aten.unflatten.int,
    }
)
"""What comes of these does not depend on what stands around them."""
RENAMED: Mapping[Any, Any] = {aten.lift_fresh_copy.default: aten.clone.default}
"""What torch writes for an operator though no table says so."""
TAKEN_OUT: frozenset[Any] = frozenset({aten.detach_.default})
"""What gives what it is given."""
NEVER_KEPT: frozenset[Any] = frozenset(
    {aten.alias.default, aten.detach.default, aten.lift.default, aten.lift_fresh.default, *RENAMED}
)
"""What torch does with these depends on what stands around them."""


class LeanProgram(ExportedProgram):
    """A traced network that is decomposed no further than it has to be.

    Args:
        traced: The network; it is used up.
    """

    def __init__(self, traced: ExportedProgram) -> None:
        super().__init__(**_parts(traced, traced.graph, traced.graph_signature), verifiers=traced.verifiers)

    def run_decompositions(
        self, decomp_table: dict[Any, Callable[..., Any]] | None = None, decompose_custom_triton_ops: bool = False
    ) -> ExportedProgram:
        """The network in the operators that the table leaves."""
        table = {**torch.export.default_decompositions()} if decomp_table is None else {**decomp_table}
        lean = decomposed(self, table)
        if lean is not None:
            return lean
        whole: ExportedProgram = super().run_decompositions(table, decompose_custom_triton_ops)
        return whole


def decomposed(program: ExportedProgram, table: Table) -> ExportedProgram | None:
    """What torch makes of a program by a table; None where only torch itself can tell."""
    changed = {node for node in program.graph.nodes if not stays(node, table)}
    if not all(map(_is_static, program.graph.nodes)):  # lengths that vary are computed, and numbered, all along
        return None if changed else _without_unused(program)
    if not all(node.target in TAKEN_OUT | TRACED_ALONE for node in changed):
        return None
    return _rebuilt(program, changed, table)


def stays(node: Node, table: Table) -> bool:
    """Whether a node is the same after torch's decomposition."""
    if node.op in ("placeholder", "output") or node.target is operator.getitem:
        return True
    target = node.target
    if not isinstance(target, OpOverload) or target in table or target in NEVER_KEPT or target._schema.is_mutable:
        return False
    return not _is_composite(target) or _can_be_kept(target)


def _is_composite(target: OpOverload) -> bool:
    return target.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd)


def _can_be_kept(target: OpOverload) -> bool:
    """Whether torch can keep an operator that is made of others."""
    try:
        from torch._export.utils import _is_preservable_cia_op
    except ImportError:
        return False
    return _is_preservable_cia_op(target)


def _is_static(node: Node) -> bool:
    """Whether all that a node gives has a shape of numbers."""
    values = pytree.tree_leaves(node.meta.get("val"))
    return not any(isinstance(value, torch.SymInt) or _varies(value) for value in values)


def _varies(value: object) -> bool:
    return isinstance(value, torch.Tensor) and not all(isinstance(length, int) for length in value.shape)


def _without_unused(program: ExportedProgram) -> ExportedProgram:
    """The program itself, without the nodes that nothing reads."""
    program.graph.eliminate_dead_code()
    program.graph_module.recompile()
    return program


def _rebuilt(program: ExportedProgram, changed: Iterable[Node], table: Table) -> ExportedProgram:
    """A program with some of its nodes in the operators that the table makes of them."""
    graph, made, traced = Graph(), dict[Node, Any](), dict[str, Graph]()
    for node in program.graph.nodes:
        if node.target in TAKEN_OUT:
            made[node] = made[node.args[0]]
        elif node in changed:
            alike = _described(node)
            if alike not in traced:
                traced[alike] = _traced_alone(node, table)
            made[node] = _inlined(graph, node, traced[alike], made)
        else:
            made[node] = _placed(graph, node, made)
    graph.eliminate_dead_code()
    return ExportedProgram(**_parts(program, graph, _signature(program, made)))


def _described(node: Node) -> str:
    """What the decomposition of a node depends on."""

    def described(one: Node) -> str:
        value = one.meta["val"]
        return f"{value.dtype} {tuple(value.shape)} {value.stride()} {node.all_input_nodes.index(one)}"

    return f"{node.target} {map_arg(node.args, described)} {map_arg(node.kwargs, described)}"


def _traced_alone(node: Node, table: Table) -> Graph:
    """What a node is made of: its tensors in, in their order, and what it gives."""
    given = node.all_input_nodes

    def call(*tensors: torch.Tensor) -> Any:
        by_node = dict(zip(given, tensors, strict=True))
        target: Callable[..., Any] = RENAMED.get(node.target, node.target)
        return target(*map_arg(node.args, by_node.__getitem__), **map_arg(node.kwargs, by_node.__getitem__))

    with torch.no_grad():
        return make_fx(call, decomposition_table=dict(table))(*(one.meta["val"] for one in given)).graph


def _inlined(graph: Graph, node: Node, traced: Graph, made: Mapping[Node, Any]) -> Any:
    """The nodes that take the place of one, and what they give."""
    inner: dict[Node, Any] = {}
    given = iter(node.all_input_nodes)
    for one in traced.nodes:
        if one.op == "placeholder":
            inner[one] = made[next(given)]
        elif one.op == "output":
            return map_arg(one.args[0], inner.__getitem__)
        else:
            inner[one] = _placed(graph, one, inner, node.meta)
    raise AssertionError("a graph ends with its output")


def _placed(graph: Graph, node: Node, made: Mapping[Node, Any], origin: Mapping[str, Any] = EMPTY) -> Any:
    """A node at the end of a graph; where it gives several things, the nodes of all of them, as torch writes them."""
    if node.target is operator.getitem:
        return made[node.args[0]][node.args[1]]  # type: ignore[index]
    arguments = map_arg(node.args, made.__getitem__), map_arg(node.kwargs, made.__getitem__)
    copy = graph.create_node(node.op, node.target, *arguments, name=_name(node))
    if node.op == "placeholder":
        copy.name = node.name  # which may be one that Python has, such as `input`
    copy.meta = {**node.meta, **origin, "val": node.meta.get("val")}
    if not isinstance(copy.meta["val"], list | tuple) or node.op != "call_function":
        return copy
    parts = [graph.call_function(operator.getitem, (copy, index)) for index in range(len(copy.meta["val"]))]
    for part, value in zip(parts, copy.meta["val"], strict=True):
        part.meta = {**copy.meta, "val": value}
    return parts


def _name(node: Node) -> str:
    """What torch names a node when it traces it, before it adds a number."""
    if node.op != "call_function":
        return node.name
    target: Any = node.target
    return str((target.overloadpacket if isinstance(target, OpOverload) else target).__name__)


def _signature(program: ExportedProgram, made: Mapping[Node, Any]) -> ExportGraphSignature:
    """The signature, with the names of the nodes that outputs come from now."""
    signature = program.graph_signature
    (output,) = (node for node in program.graph.nodes if node.op == "output")
    outputs = [
        replace(spec, arg=TensorArgument(name=made[node].name)) if isinstance(node, Node) else spec
        for spec, node in zip(signature.output_specs, output.args[0], strict=True)
    ]
    return ExportGraphSignature(list(signature.input_specs), outputs)


def _parts(program: ExportedProgram, graph: Graph, signature: ExportGraphSignature) -> dict[str, Any]:
    """What a program like another, with a graph of its own, is made of."""
    return {
        "root": program.graph_module,
        "graph": graph,
        "graph_signature": signature,
        "state_dict": program.state_dict,
        "range_constraints": program.range_constraints,
        "module_call_graph": program.module_call_graph,
        "example_inputs": program.example_inputs,
        "constants": program.constants,
    }
