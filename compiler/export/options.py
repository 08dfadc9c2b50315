"""How a network is exported, whatever it is exported to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from compiler.artifact import Tensors
from compiler.proof import AnyProof

RewritingContext = Callable[[], AbstractContextManager[object]]
"""The context in which function rewriters act."""

Comparable = Callable[[Tensors, Tensors], Tensors]
"""Puts outputs (the first) into a form that can be compared with a reference (the second): `TaskProof.comparable`."""


@dataclass(frozen=True)
class Axis:
    """A dimension of an input that varies; those of one name vary together.

    Attributes:
        position: Which dimension it is.
        name: What it is called in the Program.
        stride: It is always a multiple of this.
        smallest: Its smallest length.
        largest: Its largest length; None where there is no bound.
    """

    position: int
    name: str
    stride: int = 1
    smallest: int = 1
    largest: int | None = None


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        exporter: `dynamo` or `torchscript`.
        opset: Of the default operator set; nothing to a traced Program.
        axes: For each of the network's arguments, in order: its dimensions that vary.
        outputs: Names of its results, in order.
        ties: Tells whether rounding ranks what the network selects, and compares what it selects from then; None where
            it selects nothing.
    """

    exporter: str
    opset: int
    axes: Mapping[str, tuple[Axis, ...]]
    outputs: tuple[str, ...]
    ties: AnyProof | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's arguments, in order."""
        return tuple(self.axes)

    @property
    def dynamic(self) -> bool:
        """Whether anything varies."""
        return any(self.axes.values())


def as_they_are(outputs: Tensors, like: Tensors) -> Tensors:
    """The outputs: most can be compared directly."""
    return outputs
