"""The versions that a model names: of the operators that it uses, and of the form of its file."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from compiler.errors import CompileError, one_line
from compiler.graphs.walk import all_nodes, default_opset, is_standard

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


def runnable(model: onnx.ModelProto, where: str) -> onnx.ModelProto:
    """A model in versions that the installed ONNX Runtime reads; itself where it is.

    Raises:
        CompileError: It uses what came later.
    """
    newest, changed = newest_runnable_opset(), later_operators(model)
    if changed:
        model = _converted(model, newest, where, f"the ONNX Runtime installed here reads up to opset {newest}")
    else:
        for part in (model, *model.functions):
            for entry in part.opset_import:
                if is_standard(entry.domain):
                    entry.version = min(entry.version, newest)
    model.ir_version = ir_version_for(model)
    return model


def later_operators(model: onnx.ModelProto) -> tuple[str, ...]:
    """The operators that a model uses as an opset has them that is newer than what ONNX Runtime reads."""
    newest, own = newest_runnable_opset(), default_opset(model)
    if own <= newest:
        return ()
    used = {node.op_type for node in all_nodes(model) if is_standard(node.domain)}
    return tuple(sorted(operator for operator in used if _since(operator, own) > newest))


def _since(operator: str, opset: int) -> int:
    """The opset in which an operator came or changed last; 0 where there is no such operator, as the checker says."""
    import onnx.defs

    try:
        return int(onnx.defs.get_schema(operator, opset, "").since_version)
    except onnx.defs.SchemaError:
        return 0


def with_opset(model: onnx.ModelProto, opset: int, what_for: str) -> onnx.ModelProto:
    """A copy of a model that uses ONNX's own operators as an opset has them, or a newer one.

    Args:
        model: Left as it is.
        opset: What it is to use at least.
        what_for: What needs that, for the message.

    Raises:
        CompileError: onnx's converter cannot.
    """
    import onnx

    if default_opset(model) < opset:
        return _converted(model, opset, what_for, f"{what_for} needs opset {opset}")
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    return copied


def _converted(model: onnx.ModelProto, opset: int, where: str, why: str) -> onnx.ModelProto:
    import onnx
    from onnx import inliner

    own = default_opset(model)
    try:
        # Functions name an opset of their own. Where the operators in them changed since, the model cannot have both.
        try:
            return _with_converted_nodes(model, opset)
        except onnx.checker.ValidationError:
            if not model.functions:
                raise
            return _with_converted_nodes(inliner.inline_local_functions(model), opset)
    except Exception as error:  # onnx has no base class for what its converter raises
        raise CompileError(
            f"the model cannot be converted from opset {own} to {opset}",
            where=where,
            why=f"{why}, and onnx.version_converter says: {one_line(error)}",
            fix=f"export it again in opset {opset}, without what cannot be converted",
        ) from error


def _with_converted_nodes(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model in another opset, but for its functions, which the converter forgets."""
    import onnx
    from onnx import version_converter

    converted: onnx.ModelProto = version_converter.convert_version(model, opset)
    converted.functions.extend(model.functions)
    converted.ir_version = ir_version_for(converted)
    onnx.checker.check_model(converted)
    return converted
