"""What each rewriter for ONNX Runtime gains on a graph that has what it rewrites, and int8 through a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import process_time

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from rich.table import Table

from compiler.precision.int8 import ONNX_RUNTIME_AVX2, ONNX_RUNTIME_PORTABLE, calibrate, quantize
from compiler.stages.speed import fastest_in_turns, machine_in_words
from rewriters import GraphRewriter, Target
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.fold_focus_into_convolution import fold_focus_into_convolution
from rewriters.graph.fold_hard_swish import fold_hard_swish
from rewriters.graph.gather_shuffled_channels import gather_shuffled_channels
from rewriters.graph.pad_channels import pad_channels

TARGET = Target("onnxruntime")
LAYERS = 6
WRITTEN_OUT = "a{0} = Add (c{0}, three)  k{0} = Clip (a{0}, zero, six)  m{0} = Mul (c{0}, k{0})  f{0} = Div (m{0}, six)"
FOCUS = """
    top = Slice (x, from_0, end, rows, two)  bottom = Slice (x, from_1, end, rows, two)
    a = Slice (top, from_0, end, columns, two)  b = Slice (bottom, from_0, end, columns, two)
    c = Slice (top, from_1, end, columns, two)  d = Slice (bottom, from_1, end, columns, two)
    s = Concat <axis = 1> (a, b, c, d)  v = Conv <pads = [1, 1, 1, 1]> (s, w)  g = Sigmoid (v)  y = Mul (v, g)
"""
SHUFFLE = """
    p = Conv (x, before)  r = Reshape (p, grouped)  t = Transpose <perm = [0, 2, 1, 3, 4]> (r)  q = Reshape (t, flat)
    a, b = Split <axis = 1, num_outputs = 2> (q)  c = Conv (b, half)  y = Concat <axis = 1> (a, c)
"""


def rewriters_table() -> Table:
    """Run each graph before and after, on one thread, in turns, in processor time: the machine may be busy."""
    title = (
        f"ONNX Runtime {onnxruntime.__version__}, one thread, {machine_in_words()}: the fastest of many runs in turns"
    )
    table = Table("rewriter", "graph", title=title, title_justify="left")
    for header in ("before ms", "after ms", "after / before"):
        table.add_column(header, justify="right")
    for name, graph, before, after in _subjects():
        first, second = _milliseconds(before, after)
        table.add_row(name, graph, f"{first:.2f}", f"{second:.2f}", f"{second / first:.2f}")
    return table


def _subjects() -> Iterator[tuple[str, str, onnx.ModelProto, onnx.ModelProto]]:
    for channels in (14, 27, 30, 54):
        graph = _stack(channels, "f{0} = Relu (c{0})", (1, channels, 64, 48))
        yield _rewritten(pad_channels, f"{LAYERS} convolutions 3x3 of {channels} channels, 64x48", graph)
    weights = {"w": _normal(32, 12, 3, 3)}
    numbers = {"from_0": [0], "from_1": [1], "two": [2], "rows": [2], "columns": [3], "end": [2**62]}
    constants = {name: np.array(value, np.int64) for name, value in numbers.items()}
    focus = _model(FOCUS, (1, 3, 640, 640), **weights, **constants)
    yield _rewritten(fold_focus_into_convolution, "Focus to 32 channels, 640x640", focus)
    shapes = {"grouped": np.array([1, 2, 20, 64, 48]), "flat": np.array([1, 40, 64, 48])}
    shuffle = _model(SHUFFLE, (1, 40, 64, 48), before=_normal(40, 40, 1, 1), half=_normal(20, 20, 1, 1), **shapes)
    yield _rewritten(gather_shuffled_channels, "shuffle of 40 channels, of which half is convolved, 64x48", shuffle)
    thirds = {"three": np.float32(3), "zero": np.float32(0), "six": np.float32(6)}
    written_out = _stack(64, WRITTEN_OUT, (1, 64, 40, 40), **thirds)
    yield _rewritten(fold_hard_swish, f"{LAYERS} convolutions 3x3 of 64 channels, 40x40", written_out)
    yield from _in_8_bits(apply_graph_rewriter(written_out, fold_hard_swish, TARGET)[0])


def _in_8_bits(graph: onnx.ModelProto) -> Iterator[tuple[str, str, onnx.ModelProto, onnx.ModelProto]]:
    """Yield convolutions with HardSwish in fp32 and in int8, where it reads floats, and where it reads 8 bits."""
    table = calibrate(graph, [_inputs(graph)])
    for name, scheme in (("portable", ONNX_RUNTIME_PORTABLE), ("avx2", ONNX_RUNTIME_AVX2)):
        for where, one in (("floats", replace(scheme, functions=frozenset())), ("8 bits", scheme)):
            title = f"fp32 to int8 for {name}"
            yield title, f"the same, HardSwish reads {where}", graph, quantize(graph, table, one).model


def _rewritten(
    rewriter: GraphRewriter, what: str, graph: onnx.ModelProto
) -> tuple[str, str, onnx.ModelProto, onnx.ModelProto]:
    after, entry = apply_graph_rewriter(graph, rewriter, TARGET)
    if entry.status != "fired":
        raise RuntimeError(f"{rewriter.name} does not fire on its graph: {entry.reason}")
    return rewriter.name, what, graph, after


def _stack(channels: int, function: str, shape: tuple[int, ...], **constants: np.ndarray) -> onnx.ModelProto:
    """Return convolutions 3x3, each with a function, between two that give and take the channels."""
    first = f"c0 = Conv (x0, w0)  {function.format(0)}"
    layers = [
        f"c{index} = Conv <pads = [1, 1, 1, 1]> (f{index - 1}, w{index})  {function.format(index)}"
        for index in range(1, LAYERS + 1)
    ]
    body = " ".join(["x0 = Identity (x)", first, *layers, f"y = Conv (f{LAYERS}, last)"])
    weights = {f"w{index}": _normal(channels, channels, 3, 3) for index in range(1, LAYERS + 1)}
    ends = {"w0": _normal(channels, shape[1], 1, 1), "last": _normal(16, channels, 1, 1)}
    return _model(body, shape, **weights, **ends, **constants)


def _model(body: str, shape: tuple[int, ...], **constants: np.ndarray) -> onnx.ModelProto:
    sides = ", ".join(map(str, shape))
    text = f'<ir_version: 9, opset_import: ["": 18]> g (float[{sides}] x) => (float[n, c, h, w] y) {{{body}}}'
    parsed = onnx.parser.parse_model(text)
    parsed.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in constants.items())
    return onnx.shape_inference.infer_shapes(parsed)


def _normal(*shape: int) -> np.ndarray:
    scale = (2 / np.prod(shape[1:])) ** 0.5
    return np.random.default_rng(0).normal(scale=scale, size=shape).astype(np.float32)


def _inputs(graph: onnx.ModelProto) -> dict[str, np.ndarray]:
    shape = [dimension.dim_value for dimension in graph.graph.input[0].type.tensor_type.shape.dim]
    return {"x": np.random.default_rng(1).normal(size=shape).astype(np.float32)}


def _milliseconds(*graphs: onnx.ModelProto) -> tuple[float, ...]:
    runs = [_run(graph, _inputs(graph)) for graph in graphs]
    return tuple(seconds * 1000 for seconds in fastest_in_turns(runs, process_time))


def _run(graph: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> Callable[[], object]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, inputs)
