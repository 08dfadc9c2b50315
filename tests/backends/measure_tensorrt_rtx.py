"""Which operators TensorRT-RTX builds: `python -m tests.backends.measure_tensorrt_rtx`.

Every case of ONNX's own backend tests that is a single standard operator is built, in fp32 and fp16, and for each
compute capability by itself. It prints, in the form of the table of facts, what is supported everywhere, what only here
and there, and why the rest is refused. Needs `tensorrt_rtx`, and no GPU; takes a few minutes.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import yaml
from onnx import numpy_helper

CAPABILITIES = ("SM75", "SM80", "SM86", "SM89", "SM120", "SM121")
PRECISIONS = {"fp32": onnx.TensorProto.FLOAT, "fp16": onnx.TensorProto.FLOAT16}
NEWEST_OPSET = 22
"""Of what the exporters write, and the newest that all versions of the parser take."""


def builds(model: onnx.ModelProto, capability: str = "SM86", values: dict[str, np.ndarray] | None = None) -> str:
    """Build an engine for one compute capability; return why that fails, or nothing.

    Args:
        model: Its inputs have fixed shapes.
        capability: Such as `SM86`.
        values: Of inputs that shapes are computed from, by name.
    """
    import tensorrt_rtx as trt

    errors: list[str] = []

    class Logger(trt.ILogger):
        def log(self, severity, text):
            if severity <= trt.ILogger.ERROR:
                errors.append(text)

    logger = Logger()
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        return "parser: " + "; ".join(parser.get_error(index).desc() for index in range(parser.num_errors))
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, capability), 0)
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    shaping = [tensor.name for tensor in inputs if tensor.is_shape_tensor]
    if shaping and values:
        profile = builder.create_optimization_profile()
        for name in shaping:
            profile.set_shape_input(name, *[values[name].reshape(-1).tolist()] * 3)
        config.add_optimization_profile(profile)
    return "" if builder.build_serialized_network(network, config) is not None else "builder: " + "; ".join(errors)


@dataclass(frozen=True)
class Case:
    """One operator by itself.

    Attributes:
        name: Of the case among ONNX's.
        operator: Its type.
        variants: Models of it: all inputs vary; all but the first are constant; and of the outputs only the first.
        values: Of its inputs, by name.
    """

    name: str
    operator: str
    variants: tuple[onnx.ModelProto, ...]
    values: dict[str, np.ndarray]


def single_operators() -> Iterator[Case]:
    """Yield the cases of ONNX's backend tests that are one standard operator on tensors."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases compute with infinities
        cases = collect_testcases(None)
    for case in cases:
        if case.model is None or len(case.model.graph.node) != 1 or case.model.graph.node[0].domain:
            continue
        values = case.data_sets[0][0] if case.data_sets else []
        if all(isinstance(value, np.ndarray) for value in values):
            model = _for_engines(case.model)
            constant = others_constant(model, values)
            variants = (model, constant, _first_output_only(constant))
            named = dict(zip([port.name for port in model.graph.input], values, strict=False))
            yield Case(case.name, model.graph.node[0].op_type, variants, named)


def in_precision(model: onnx.ModelProto, precision: str) -> onnx.ModelProto:
    """Return a model of one operator with its fp32 tensors in another precision."""
    converted = _copied(model)
    single, wanted = onnx.TensorProto.FLOAT, PRECISIONS[precision]
    for port in (*converted.graph.input, *converted.graph.output):
        if port.type.tensor_type.elem_type == single:
            port.type.tensor_type.elem_type = wanted
    for weight in converted.graph.initializer:
        if weight.data_type == single:
            values = numpy_helper.to_array(weight).astype(onnx.helper.tensor_dtype_to_np_dtype(wanted))
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return converted


def _for_engines(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in an opset that exporters write."""
    copy = _copied(model)
    for entry in copy.opset_import:
        entry.version = min(entry.version, NEWEST_OPSET)
    copy.ir_version = min(copy.ir_version, 10)
    return copy


def _first_output_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy without what inference does not need, such as the mean that a normalisation found."""
    copy = _copied(model)
    del copy.graph.output[1:]
    del copy.graph.node[0].output[1:]
    return copy


def others_constant(model: onnx.ModelProto, values: Sequence[np.ndarray]) -> onnx.ModelProto:
    """Return a copy in which all inputs but the first are constant."""
    constant = _copied(model)
    names = [port.name for port in constant.graph.input][1:]
    del constant.graph.input[1:]
    constant.graph.initializer.extend(map(numpy_helper.from_array, values[1:], names))
    return constant


def _copied(model: onnx.ModelProto) -> onnx.ModelProto:
    return onnx.ModelProto.FromString(model.SerializeToString())


def measured() -> tuple[dict[str, set[tuple[str, str]]], dict[str, str]]:
    """Return by operator the precisions and capabilities it builds for, and why it builds for none."""
    built: dict[str, set[tuple[str, str]]] = defaultdict(set)
    refused: dict[str, str] = {}
    everywhere = {(precision, capability) for precision in PRECISIONS for capability in CAPABILITIES}
    for case in single_operators():
        for model in case.variants:
            for precision, capability in sorted(everywhere - built[case.operator]):
                problem = builds(in_precision(model, precision), capability, case.values)
                if problem:
                    refused.setdefault(case.operator, f"{case.name}: {problem}")
                else:
                    built[case.operator].add((precision, capability))
    return built, refused


def main() -> None:
    """Print the table."""
    import tensorrt_rtx

    built, refused = measured()
    full = len(PRECISIONS) * len(CAPABILITIES)
    partly = {name: sorted(map(" ".join, found)) for name, found in built.items() if 0 < len(found) < full}
    print(f"# TensorRT-RTX {tensorrt_rtx.__version__}")
    table = {
        "supported": sorted(name for name, found in built.items() if len(found) == full),
        "partly": partly,
        "refused": {name: refused[name] for name in sorted(built) if not built[name]},
    }
    print(yaml.safe_dump(table, width=120, sort_keys=False))


if __name__ == "__main__":
    main()
