"""A model in mixed precision, simulated in fp32: what a node in 16 bits reads and makes is rounded to the format.

That is what a GPU does that adds up in fp32, and what ONNX Runtime does on a CPU for an operator without a kernel in 16
bits. It says nothing of what engines keep in 16 bits within one operator: see `intermediates`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.graphs import AS_WRITTEN, OnnxRuntimeSession, bodies, with_outputs
from compiler.numerics import difference
from compiler.precision.half.formats import Format
from compiler.precision.half.wiring import HalfWiring

if TYPE_CHECKING:
    import onnx

_ZERO = "__zero"
"""A tensor of the measuring graph."""


@dataclass(frozen=True)
class Growth:
    """How large the error is in front of a node and behind it, in standard deviations of the tensors there."""

    before: float
    after: float

    def factor(self, negligible: float) -> float:
        """By how much the error grows; one that is no number came from further up where there already is one."""
        if not math.isfinite(self.before):
            return 0.0
        return self.after / max(self.before, negligible)


class Simulation:
    """A model in which any nodes can be in 16 bits.

    Args:
        wiring: Of the model in fp32.
        number_format: The 16 bits.
        samples: Real inputs by name.
        exact: The watched tensors in fp32, for each sample.
    """

    def __init__(
        self, wiring: HalfWiring, number_format: Format, samples: Sequence[Tensors], exact: Sequence[Tensors]
    ) -> None:
        self._wiring = wiring
        self._format = number_format
        self._samples = samples
        self._watched = wiring.watched
        self._exact = exact

    def errors(self, half: Collection[int]) -> dict[str, float]:
        """The largest absolute error of each watched tensor, in standard deviations of it."""
        errors = dict.fromkeys(self._watched, 0.0)
        if not errors:  # all that is computed follows a selection
            return errors
        session = self._open(frozenset(half), self._watched)
        for sample, exact in zip(self._samples, self._exact, strict=True):
            found = session.run(sample)
            for name in self._watched:
                errors[name] = max(errors[name], relative_error(exact[name], found[name]))
        return errors

    def growth(self, half: Collection[int]) -> dict[int, Growth]:
        """Where the error grows, by node. The exact network runs beside the rounded one in one graph."""
        nodes = self._wiring.nodes
        measured = [name for index in sorted(half) for name in nodes[index].output if name in self._wiring.floats]
        outputs = [output for name in measured for output in _distance_and_variance(name)]
        session = self._open(frozenset(half), outputs, beside=[*_twin(self._wiring), *_comparisons(measured)])
        errors = dict.fromkeys(measured, 0.0)
        for sample in self._samples:
            found = session.run(sample)
            for name in measured:
                distance, variance = (float(found[output]) for output in _distance_and_variance(name))
                errors[name] = max(errors[name], _in_deviations(distance, math.sqrt(variance)))
        return {
            index: Growth(_worst(errors, nodes[index].input), _worst(errors, nodes[index].output))
            for index in sorted(half)
        }

    def _open(
        self, half: frozenset[int], outputs: Sequence[str], beside: Sequence[onnx.NodeProto] = ()
    ) -> OnnxRuntimeSession:
        import onnx

        model = with_outputs(self._wiring.model, outputs)
        graph = model.graph
        del graph.node[:], graph.value_info[:]
        graph.node.extend(_rounding_nodes(self._wiring, half, self._format))
        graph.node.extend(beside)
        graph.initializer.extend(
            onnx.numpy_helper.from_array(self._format.round(self._wiring.weights[name]), _rounded(name))
            for name in sorted(_read_in_half(self._wiring, half) & self._wiring.weights.keys())
        )
        return OnnxRuntimeSession(model, options=AS_WRITTEN)


def relative_error(exact: NDArray[Any], found: NDArray[Any]) -> float:
    """The error as the proof measures it, see `compiler.numerics.Difference`; infinite where it is not a number."""
    apart = difference(exact, found)
    return math.inf if math.isnan(apart.relative) else max(apart.relative, apart.typical)


def _in_deviations(distance: float, deviation: float) -> float:
    error = distance / (deviation or 1.0)
    return math.inf if math.isnan(error) else error


def _worst(errors: Mapping[str, float], names: Collection[str]) -> float:
    return max((errors[name] for name in names if name in errors), default=0.0)


def _rounding_nodes(wiring: HalfWiring, half: frozenset[int], number_format: Format) -> Iterator[onnx.NodeProto]:
    """Yield the graph with everything rounded that a node in 16 bits reads or makes."""
    import onnx

    produced = {wiring.nodes[index].output[position] for index in half for position in wiring.slots[index].outputs}
    rounded = produced | wiring.weights.keys()
    for index, node in enumerate(wiring.nodes):
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        for position in sorted(wiring.slots[index].inputs) if index in half else ():
            name = node.input[position]
            if name in produced:
                continue
            if name not in rounded:
                rounded.add(name)
                yield from _round(name, _rounded(name), number_format)
            copied.input[position] = _rounded(name)
        for position in wiring.slots[index].outputs if index in half else ():
            copied.output[position] = f"{node.output[position]}__unrounded"
        yield copied
        for position in sorted(wiring.slots[index].outputs) if index in half else ():
            yield from _round(copied.output[position], node.output[position], number_format)


def _round(name: str, result: str, number_format: Format) -> Iterator[onnx.NodeProto]:
    import onnx

    yield onnx.helper.make_node("Cast", [name], [f"{result}__short"], to=number_format.onnx_type)
    yield onnx.helper.make_node("Cast", [f"{result}__short"], [result], to=onnx.TensorProto.FLOAT)


def _read_in_half(wiring: HalfWiring, half: Collection[int]) -> set[str]:
    return {wiring.nodes[index].input[position] for index in half for position in wiring.slots[index].inputs}


def _twin(wiring: HalfWiring) -> Iterator[onnx.NodeProto]:
    """Yield the exact network under other names; a body reads the names that it was written with."""
    import onnx

    renamed: dict[str, str] = {}
    following = wiring.following
    for index, node in enumerate(wiring.nodes):
        if index in following or any(bodies(node)):
            continue
        renamed |= {name: _exact(name) for name in node.output if name}
        twin = onnx.NodeProto()
        twin.CopyFrom(node)
        twin.name = _exact(node.name)
        twin.input[:] = [renamed.get(name, name) for name in node.input]
        twin.output[:] = [renamed.get(name, name) for name in node.output]
        yield twin


def _comparisons(names: Sequence[str]) -> Iterator[onnx.NodeProto]:
    """Yield what computes the largest absolute error of a tensor, and the variance of the exact one.

    Equal infinities are equal, and what is not finite has no part in the variance.
    """
    import onnx

    zero = onnx.helper.make_tensor("", onnx.TensorProto.FLOAT, (), [0.0])
    if names:
        yield onnx.helper.make_node("Constant", [], [_ZERO], value=zero)
    for name in names:
        distance, variance = _distance_and_variance(name)
        steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
            ("Equal", [name, _exact(name)], f"{name}__is_equal", {}),
            ("Sub", [name, _exact(name)], f"{name}__apart", {}),
            ("Where", [f"{name}__is_equal", _ZERO, f"{name}__apart"], f"{name}__difference", {}),
            ("Abs", [f"{name}__difference"], f"{name}__difference_magnitude", {}),
            ("ReduceMax", [f"{name}__difference_magnitude"], distance, {"keepdims": 0}),
            ("Sub", [_exact(name), _exact(name)], f"{name}__nothing", {}),
            ("Equal", [f"{name}__nothing", _ZERO], f"{name}__is_finite", {}),
            ("Where", [f"{name}__is_finite", _exact(name), _ZERO], f"{name}__finite", {}),
            ("ReduceMean", [f"{name}__finite"], f"{name}__mean", {"keepdims": 0}),
            ("Sub", [f"{name}__finite", f"{name}__mean"], f"{name}__offset", {}),
            ("Mul", [f"{name}__offset", f"{name}__offset"], f"{name}__square", {}),
            ("ReduceMean", [f"{name}__square"], variance, {"keepdims": 0}),
        ]
        for operator, inputs, output, attributes in steps:
            yield onnx.helper.make_node(operator, inputs, [output], **attributes)


def _distance_and_variance(name: str) -> tuple[str, str]:
    return f"{name}__distance", f"{name}__variance"


def _exact(name: str) -> str:
    return f"{name}__exact"


def _rounded(name: str) -> str:
    return f"{name}__rounded"
