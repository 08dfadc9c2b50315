"""Calibration: run a model on real input, and note the range of every tensor that can be quantised."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.errors import CompileError, UsageError, nearest
from compiler.graphs import AS_WRITTEN, LOOKED_AT, OnnxRuntimeSession, is_standard
from compiler.precision.int8.histograms import MagnitudeHistogram, entropy_threshold, percentile_threshold
from compiler.precision.int8.ranges import ranges_in, with_ranges
from compiler.precision.int8.schemes import CARRIERS, FUNCTIONS, JOINS, WEIGHTED
from compiler.precision.int8.table import CalibrationTable, Range, model_digest

if TYPE_CHECKING:
    import onnx

NOT_COMPUTED = "the model computes values that are not numbers"
_FLOAT = "tensor(float)"
METHODS: dict[str, Callable[[MagnitudeHistogram], float] | None] = {
    "min_max": None,
    "entropy": entropy_threshold,
    "percentile": percentile_threshold,
}
"""How a range is found, and where it is clipped: all values; by the least loss of information; 0.9999 of all values."""


def calibrate(model: onnx.ModelProto, batches: Iterable[Tensors], method: str = "min_max") -> CalibrationTable:
    """The ranges of a model's activations.

    Args:
        model: In float32; its graph is run by ONNX Runtime.
        batches: Inputs by name, of any number of items; gone through once. The memory that is needed is that of one
            run; of a method that counts numbers, that of all activations of one batch.
        method: One of `METHODS`.

    Raises:
        UsageError: An unknown method.
        CompileError: There are no batches, one does not fit the model, or there are values that are not numbers.
    """
    if method not in METHODS:
        raise UsageError(
            f"there is no calibration method '{method}'", where="calibration.method", fix=nearest(method, METHODS)
        )
    names = _calibrated(model)
    observed = {name: _Observed(method != "min_max") for name in names}
    look = _looking_at_ranges(model, observed) if method == "min_max" else _looking_at_numbers(model, observed)
    data, items = hashlib.sha256(), 0
    for number, batch in enumerate(batches):
        _check(batch, f"batch {number}", "the calibration data holds values that are not numbers")
        _digest(data, batch)
        first = next(iter(batch.values()))
        items += len(first) if first.ndim else 1
        look(batch)
    if not items:
        raise CompileError("there is nothing to calibrate on", why="no batch was given", fix="give at least one item")
    return _table(method, model_digest(model), data.hexdigest(), items, observed)


def _looking_at_numbers(model: onnx.ModelProto, observed: Mapping[str, _Observed]) -> Callable[[Tensors], None]:
    """A way to run a model and take all numbers of its tensors in."""
    session = OnnxRuntimeSession(model, list(observed), LOOKED_AT)

    def look(batch: Tensors) -> None:
        for name, tensor in _floats(session.run(batch)):
            if name in observed:
                observed[name].add(tensor)

    return look


def _looking_at_ranges(model: onnx.ModelProto, observed: Mapping[str, _Observed]) -> Callable[[Tensors], None]:
    """A way to run a model and take the ranges of its tensors in, none of which is kept."""
    types = OnnxRuntimeSession(model, list(observed), AS_WRITTEN).types if observed else {}
    types |= {value.name: _FLOAT for value in model.graph.input if value.type.tensor_type.elem_type == 1}
    names = [name for name in observed if types.get(name) == _FLOAT]
    session = OnnxRuntimeSession(with_ranges(model, names), (), LOOKED_AT)

    def look(batch: Tensors) -> None:
        try:
            outputs = session.run(batch)
        except CompileError:  # where ONNX Runtime refuses to look for the smallest number of an empty tensor
            _looking_at_numbers(model, observed)(batch)
            return
        for name, smallest, largest in ranges_in(outputs, names):
            if np.isnan(smallest):
                raise _not_a_number(NOT_COMPUTED, name, name)
            observed[name].widen(smallest, largest)

    return look


class _Observed:
    """What was seen of one tensor.

    Args:
        counted: Whether its histogram is wanted.
    """

    def __init__(self, counted: bool) -> None:
        self.low, self.high = np.inf, -np.inf
        self.histogram = MagnitudeHistogram() if counted else None

    def widen(self, smallest: float, largest: float) -> None:
        self.low, self.high = min(self.low, smallest), max(self.high, largest)

    def add(self, tensor: NDArray[np.float32]) -> None:
        self.widen(float(tensor.min(initial=np.inf)), float(tensor.max(initial=-np.inf)))
        if self.histogram is not None and self.is_bounded():
            self.histogram.add(tensor)

    def is_seen(self) -> bool:
        return self.low <= self.high

    def is_bounded(self) -> bool:
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    def range(self, threshold: Callable[[MagnitudeHistogram], float] | None) -> Range:
        if threshold is None or self.histogram is None:
            return Range(self.low, self.high)
        largest = threshold(self.histogram)
        return Range(float(np.clip(self.low, -largest, largest)), float(np.clip(self.high, -largest, largest)))


def _table(method: str, model: str, data: str, items: int, observed: dict[str, _Observed]) -> CalibrationTable:
    seen = {name: tensor for name, tensor in sorted(observed.items()) if tensor.is_seen()}
    bounded = {name: tensor.range(METHODS[method]) for name, tensor in seen.items() if tensor.is_bounded()}
    return CalibrationTable(method, model, data, items, bounded, tuple(name for name in seen if name not in bounded))


def _calibrated(model: onnx.ModelProto) -> list[str]:
    """The tensors, constants left out, that are read by the operators that any scheme quantises."""
    constants = {initializer.name for initializer in model.graph.initializer}
    return list(
        dict.fromkeys(
            name
            for node in model.graph.node
            if is_standard(node.domain) and node.op_type in WEIGHTED | JOINS | CARRIERS | FUNCTIONS
            for name in node.input
            if name and name not in constants
        )
    )


def _floats(tensors: Tensors) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the float32 tensors; shapes and indices travel through the same operators."""
    for name, tensor in tensors.items():
        if tensor.dtype == np.float32:
            _check({name: tensor}, name, NOT_COMPUTED)
            yield name, tensor


def _check(tensors: Tensors, where: str, what: str) -> None:
    for name, tensor in tensors.items():
        if np.isnan(tensor).any():
            raise _not_a_number(what, where, name)


def _not_a_number(what: str, where: str, name: str) -> CompileError:
    return CompileError(what, where=where, why=f"{name} holds NaN", fix="look at the input, or at the weights")


def _digest(sha: Any, batch: Tensors) -> None:
    for name, tensor in sorted(batch.items()):
        sha.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        sha.update(np.ascontiguousarray(tensor).tobytes())
