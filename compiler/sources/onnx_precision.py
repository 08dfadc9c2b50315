"""What is asked of the precision of an ONNX file, and what the file is in already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from compiler.config import CompileConfig
from compiler.config.schema import CalibrationConfig
from compiler.errors import UsageError
from compiler.graphs import OnnxModelFile, default_opset, later_operators, newest_runnable_opset
from compiler.precision.half.formats import FORMATS
from compiler.precision.int8.quantize import SMALLEST_OPSET
from compiler.precision.own import OwnPrecision

SMALLEST_OPSETS: Mapping[str, int] = {
    "fp32": 0,
    "int8": SMALLEST_OPSET,
    **{name: number_format.opset for name, number_format in FORMATS.items()},
}
"""What a file has to be converted to before it is written in a precision."""
IN_WORDS: Mapping[str, str] = {"int8": "quantised", "fp16": "in fp16", "bf16": "in bf16"}


def in_own_precision(config: CompileConfig, own: OwnPrecision, file: OnnxModelFile) -> CompileConfig:
    """The config of a file in a lower precision: that one, which decides how it is proven and what it is called.

    Nothing brings back what rounding took; fp32, which is what a config says where nobody asks, is then taken for the
    file as it is.

    Raises:
        UsageError: Another precision is asked for, fp32 too, or something of how it is lowered; or the backend cannot
            be built in the file's own.
    """
    if own.name == "fp32":
        return config
    name, what = file.path.name, f"the ONNX file is {IN_WORDS[own.name]} already"
    if config.precision != own.name and (config.precision_asked or config.precision != "fp32"):
        raise UsageError(
            what,
            where=f"precision={config.precision} model.file={file.path}",
            why=f"{own.changed} of the {own.nodes} nodes of {name} compute in {own.name}, and what that rounds is lost",
            fix=f"give precision={own.name}, in a deploy name as {config.backend['name']}-{own.name}; or export the "
            f"network in fp32 and give precision={config.precision}",
        )
    given = {"keep_fp32": bool(config.keep_fp32), "calibration": config.calibration != CalibrationConfig()}
    for key in (key for key, is_given in given.items() if is_given):
        raise UsageError(
            what,
            where=key,
            why="it is compiled as it is, and nothing is left to choose",
            fix=f"leave {key} out, or export the network in fp32",
        )
    able = config.backend_facts.PRECISIONS
    if own.name not in able:
        raise UsageError(
            f"{config.backend['name']} cannot be built in {own.name}",
            where=f"backend={config.backend['name']} model.file={file.path}",
            why=f"{name} is {IN_WORDS[own.name]}, and this backend takes {', '.join(able)}",
            fix="choose another backend, or export the network in fp32",
        )
    return replace(config, precision=own.name)


def precision_caution(own: OwnPrecision) -> str:
    """What a user has to know of a file in a lower precision; empty in fp32."""
    if own.name == "fp32":
        return ""
    return (
        f"the file is {IN_WORDS[own.name]}: it is compiled as it is, its bundle is called {own.name}, and it is proven "
        f"against itself by what {own.name} may differ by, not against the network in fp32"
    )


def opset_caution(file: OnnxModelFile) -> str:
    """What a user has to know of a file that ONNX Runtime cannot run as it is; empty where it can."""
    operators = later_operators(file.model)
    if not operators:
        return ""
    return (
        f"the file is of opset {default_opset(file.model)}, whose {', '.join(operators)} ONNX Runtime does not know: "
        f"onnx.version_converter brings it to {newest_runnable_opset()}, and the proof compares with what comes of that"
    )
