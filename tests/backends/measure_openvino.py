"""Which operators OpenVINO computes right: `python -m tests.backends.measure_openvino [operator ...]`.

Every case of ONNX's own backend tests that is a single standard operator is converted, as it is and with all inputs but
the first constant, run on the processor, and compared with what ONNX says comes out. It prints, in the form of the
table of facts, what is right at least once, and why the rest is not. Needs `openvino`; takes a few minutes.
"""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import onnx
import yaml

from compiler.backends.openvino.library import load, reason
from tests.backends.measure_tensorrt_rtx import others_constant

NEWEST_OPSET = 22
"""Of what the exporters write."""
LONGEST_REASON = 160


def single_operators(chosen: list[str]) -> Iterator[tuple[str, onnx.ModelProto, list[np.ndarray], list[np.ndarray]]]:
    """Yield the cases that are one standard operator on tensors: name, model, what goes in and what comes out.

    Args:
        chosen: Of these types alone; of all where there are none.
    """
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases compute with infinities
        cases = collect_testcases(None)
    for case in cases:
        if case.model is None or len(case.model.graph.node) != 1 or case.model.graph.node[0].domain:
            continue
        if chosen and case.model.graph.node[0].op_type not in chosen:
            continue
        given, expected = case.data_sets[0] if case.data_sets else ([], [])
        if expected and all(isinstance(value, np.ndarray) for value in (*given, *expected)):
            yield case.name, case.model, given, expected


def computes(model: onnx.ModelProto, given: list[np.ndarray], expected: list[np.ndarray]) -> str:
    """Run a model; return why what comes out is not what is expected, or nothing."""
    core = load().Core()
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    for entry in copy.opset_import:
        entry.version = min(entry.version, NEWEST_OPSET)
    try:
        compiled = core.compile_model(
            core.read_model(copy.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        found = compiled(dict(zip([port.name for port in model.graph.input], given, strict=True)))
    except Exception as error:  # OpenVINO raises what it likes
        return reason(error)[:LONGEST_REASON]
    for index, want in enumerate(expected):
        if want.dtype.kind not in "fiub":
            return f"its output {index} is {want.dtype}"
        got = found[index]
        if got.shape != want.shape or not np.allclose(got, want, rtol=1e-3, atol=1e-4, equal_nan=True):
            return f"other numbers: {got.shape} for {want.shape}"
    return ""


def measured(chosen: list[str]) -> tuple[set[str], dict[str, list[str]]]:
    """Return the operators that are right at least once, and what is wrong with each, if anything."""
    right, wrong = set(), defaultdict(list)
    for name, model, given, expected in single_operators(chosen):
        operator = model.graph.node[0].op_type
        why = computes(model, given, expected)
        if why and len(given) > 1:
            why = computes(others_constant(model, given), given[:1], expected) and why
        if why:
            wrong[operator].append(f"{name}: {why}")
        else:
            right.add(operator)
    return right, wrong


def main() -> None:
    """Print the table."""
    right, wrong = measured(sys.argv[1:])
    table = {
        "supported": sorted(right),
        "partly": {operator: wrong[operator] for operator in sorted(right & set(wrong))},
        "refused": {operator: wrong[operator][0] for operator in sorted(set(wrong) - right)},
    }
    print(f"# OpenVINO {load().__version__}")
    print(yaml.safe_dump(table, width=120, sort_keys=False))


if __name__ == "__main__":
    main()
