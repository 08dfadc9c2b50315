"""The versions that a model names: of the operators that it uses, and of the form of its file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from compiler.errors import CompileError, one_line
from compiler.graphs.walk import all_nodes, default_opset, is_standard, name_of

if TYPE_CHECKING:
    import onnx

IR_VERSION_BEFORE_OPSET_19 = 8
"""What ONNX Runtime 1.15, and with it MMDeploy's SDK, opens; it opens 9 too."""
FIRST_IR_VERSION_WITH_OVERLOADS = 10


def ir_version_for(model: onnx.ModelProto) -> int:
    """The oldest version of the file's form that holds what is in a model, so that old runtimes open it.

    Whoever saves a file writes their own onnx's newest, whether anything in it needs that or not.
    """
    from onnx import helper

    own = [entry for entry in model.opset_import if is_standard(entry.domain)]
    oldest: int = helper.find_min_ir_version_for(own, ignore_unknown=True)
    if any(function.overload for function in model.functions):
        oldest = max(oldest, FIRST_IR_VERSION_WITH_OVERLOADS)
    return max(oldest, IR_VERSION_BEFORE_OPSET_19)


@cache
def newest_runnable_opset() -> int:
    """The newest version of ONNX's own operators that the installed ONNX Runtime reads.

    Tried, since no function of it says so.
    """
    import onnx

    newest = int(onnx.defs.onnx_opset_version())
    return next((opset for opset in range(newest, IR_VERSION_BEFORE_OPSET_19, -1) if _is_read(opset)), newest)


def _is_read(opset: int) -> bool:
    import onnx.parser
    import onnxruntime

    text = f'<ir_version: 8, opset_import: ["": {opset}]> g (float[1] x) => (float[1] y) {{ y = Identity (x) }}'
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    content = onnx.parser.parse_model(text).SerializeToString()
    try:
        onnxruntime.InferenceSession(content, quiet, providers=["CPUExecutionProvider"])
    except Exception:  # ONNX Runtime has no base class for its own exceptions
        return False
    return True


def lower_to_runnable(model: onnx.ModelProto, where: str) -> None:
    """Let a model name the newest opset that ONNX Runtime reads, where it names a newer one and uses nothing of it.

    Raises:
        CompileError: It uses operators that came or changed later.
    """
    runnable = newest_runnable_opset()
    if default_opset(model) <= runnable:
        return
    newer = list(_newer_nodes(model, runnable))
    if newer:
        node, since = newer[0]
        more = f" and {len(newer) - 1} more" if len(newer) > 1 else ""
        raise CompileError(
            "the ONNX file needs a newer ONNX Runtime",
            where=f"{where}, {node.op_type} ({name_of(node)}){more}",
            why=f"{node.op_type} is as opset {since} has it, and the ONNX Runtime here reads up to {runnable}",
            fix=f"export it again in opset {runnable} or older, or install a newer onnxruntime",
        )
    for part in (model, *model.functions):
        for entry in part.opset_import:
            if is_standard(entry.domain):
                entry.version = min(entry.version, runnable)


def _newer_nodes(model: onnx.ModelProto, opset: int) -> Iterator[tuple[onnx.NodeProto, int]]:
    """Yield the nodes whose operators came or changed after an opset, and when."""
    import onnx.defs

    own = default_opset(model)
    for node in all_nodes(model):
        if not is_standard(node.domain):
            continue
        try:
            since = int(onnx.defs.get_schema(node.op_type, own, "").since_version)
        except onnx.defs.SchemaError:  # the checker names it
            continue
        if since > opset:
            yield node, since


def with_opset(model: onnx.ModelProto, opset: int, what_for: str) -> onnx.ModelProto:
    """A copy of a model that uses ONNX's own operators as a newer opset has them.

    Args:
        model: Left as it is.
        opset: What it is to use at least.
        what_for: What needs that, for the message.

    Raises:
        CompileError: onnx's converter cannot.
    """
    import onnx
    from onnx import version_converter

    own = default_opset(model)
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    if own >= opset:
        return copied
    try:
        # It forgets local functions, and knows no node of theirs.
        converted: onnx.ModelProto = version_converter.convert_version(_inlined(copied), opset)
    except Exception as error:  # onnx has no base class for what its converter raises
        raise CompileError(
            f"the model cannot be converted from opset {own} to {opset}",
            where=what_for,
            why=f"{what_for} needs opset {opset}, and onnx.version_converter says: {one_line(error)}",
            fix=f"export it again with opset {opset} or newer",
        ) from error
    converted.ir_version = ir_version_for(converted)
    return converted


def _inlined(model: onnx.ModelProto) -> Any:
    from onnx import inliner

    return inliner.inline_local_functions(model) if model.functions else model
