"""What onnx_ir does to a whole model as we want it done."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def with_lifted_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its nodes `Constant` as initializers, of bodies too: graph rewriters and backends expect those."""
    import onnx_ir
    from onnx_ir.passes.common import LiftConstantsToInitializersPass

    lift = LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
    lifted: onnx.ModelProto = onnx_ir.to_proto(lift(onnx_ir.from_proto(model)).model)
    return lifted


def without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the nodes and initializers that nothing reads."""
    import onnx_ir
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    needed: onnx.ModelProto = onnx_ir.to_proto(RemoveUnusedNodesPass()(onnx_ir.from_proto(model)).model)
    return needed
