"""How large and how small the values of every tensor become on real input."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.graphs import AS_WRITTEN, OnnxRuntimeSession, with_outputs
from compiler.precision.half.intermediates import INTERMEDIATES, intermediate
from compiler.precision.half.wiring import HalfWiring

if TYPE_CHECKING:
    import onnx

DIVIDED_BY = {"Div": 1, "Log": 0, "Reciprocal": 0}
"""The input whose smallest value decides how large the result is, by operator."""


@dataclass(frozen=True)
class Magnitude:
    """The range of a tensor.

    Attributes:
        largest: In magnitude; 0 where all are zero.
        smallest: In magnitude, but zero; infinite where all are zero.
    """

    largest: float
    smallest: float

    @classmethod
    def of(cls, values: NDArray[Any]) -> Magnitude:
        """Measure an array."""
        magnitudes = np.abs(values.astype(np.float64))
        positive = magnitudes[magnitudes > 0]
        return cls(float(magnitudes.max(initial=0.0)), float(positive.min(initial=math.inf)))

    def joined(self, other: Magnitude) -> Magnitude:
        """The range that holds both."""
        return Magnitude(max(self.largest, other.largest), min(self.smallest, other.smallest))


@dataclass(frozen=True)
class Magnitudes:
    """What a model reaches on real input.

    Attributes:
        largest: In magnitude, of every fp32 tensor that varies with the input.
        divisors: Of the tensors that something is divided by.
        inside: What a node computes on its way, by the node's position in the graph: see `intermediates`.
        watched: The tensors in which errors are measured, for each sample: the run that found the rest gives them too.
    """

    largest: Mapping[str, float]
    divisors: Mapping[str, Magnitude]
    inside: Mapping[int, Magnitude]
    watched: tuple[Tensors, ...]


def measure(wiring: HalfWiring, samples: Iterable[Tensors]) -> Magnitudes:
    """Run the fp32 model on real input. What follows a selection is left out: it stays in fp32, and may be empty.

    Args:
        wiring: Of the model.
        samples: Inputs by name.

    Raises:
        CompileError: ONNX Runtime does not run the model.
    """
    nodes = sorted(set(range(len(wiring.nodes))) - wiring.following)
    computed = {name for index in nodes for name in wiring.nodes[index].output if name in wiring.floats}
    given = {value.name for value in wiring.model.graph.input if value.name in wiring.floats}
    summing = [index for index in nodes if wiring.nodes[index].op_type in INTERMEDIATES and wiring.can_be_half(index)]
    divisors = sorted((computed | given) & set(_divisors(wiring)))
    # The inputs of the few nodes that are looked into come out whole; of all other tensors, a number.
    read = sorted({name for index in summing for name in wiring.nodes[index].input if name in wiring.producers})
    watched: list[Tensors] = []
    read = sorted({*read, *divisors, *wiring.watched} - given)
    run = _nothing  # where all that is computed follows a selection
    if computed or read:
        run = OnnxRuntimeSession(_measuring(wiring, sorted(computed), read), options=AS_WRITTEN).run
    largest: dict[str, float] = dict.fromkeys(sorted(computed | given), 0.0)
    ranges: dict[str | int, Magnitude] = {}
    for sample in samples:
        found = run(sample)
        watched.append({name: found[name] for name in wiring.watched})
        reached = {name: float(np.abs(sample[name]).max(initial=0.0)) for name in given}
        reached |= {name: float(found[_largest(name)]) for name in computed}
        largest = {name: max(before, reached[name]) for name, before in largest.items()}
        measured: dict[str | int, Magnitude] = {name: Magnitude.of({**sample, **found}[name]) for name in divisors}
        for index in summing:
            inputs = [_value(name, wiring, {**sample, **found}) for name in wiring.nodes[index].input]
            measured[index] = Magnitude.of(intermediate(wiring.nodes[index], inputs))
        ranges = {key: bounds.joined(ranges.get(key, bounds)) for key, bounds in measured.items()}
    return Magnitudes(
        largest=largest,
        divisors={key: bounds for key, bounds in ranges.items() if isinstance(key, str)},
        inside={key: bounds for key, bounds in ranges.items() if isinstance(key, int)},
        watched=tuple(watched),
    )


def _nothing(tensors: Tensors) -> Tensors:
    return {}


def _divisors(wiring: HalfWiring) -> Iterator[str]:
    for node in wiring.nodes:
        if node.op_type in DIVIDED_BY:
            yield node.input[DIVIDED_BY[node.op_type]]


def _measuring(wiring: HalfWiring, names: Sequence[str], read: Sequence[str]) -> onnx.ModelProto:
    """A model that measures itself, so that a whole network's activations need not be in memory at once."""
    import onnx

    model = with_outputs(wiring.model, [*map(_largest, names), *read])
    for name in names:
        model.graph.node.append(onnx.helper.make_node("Abs", [name], [f"{name}__magnitude"]))
        model.graph.node.append(
            onnx.helper.make_node("ReduceMax", [f"{name}__magnitude"], [_largest(name)], keepdims=0)
        )
    return model


def _largest(name: str) -> str:
    return f"{name}__largest"


def _value(name: str, wiring: HalfWiring, computed: Tensors) -> NDArray[Any]:
    """The value of a node's input, also where that is a constant, or left out."""
    import onnx

    if name in computed:
        return computed[name]
    constant = wiring.initializers.get(name)
    return np.empty(0, np.int64) if constant is None else onnx.numpy_helper.to_array(constant)
