"""Whether an export was frozen to its example: every Program is run on other inputs before anyone relies on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from compiler.artifact import Tensors
from compiler.config.sizes import size_text
from compiler.errors import CompileError
from compiler.export.options import Comparable, ExportOptions, RewritingContext
from compiler.proof import AnyProof, Comparison, Run, compare_arrays
from compiler.proof.ties import Selecting

if TYPE_CHECKING:
    from torch import Tensor, nn

    from compiler.selection.tail import DetectionTail

SAME_SHAPE_TOLERANCE = 1e-2
"""In standard deviations: an export that baked a size in is wrong by far more than rounding."""

Pair = tuple[Tensors, Tensors]
"""Inputs, and what the network makes of them."""


def run_network(network: nn.Module, tensors: Tensors, outputs: Sequence[str]) -> Tensors:
    """The outputs of a network by name, for numpy arrays in the order of its arguments."""
    import torch

    with torch.no_grad():
        results: tuple[Tensor, ...] = network(*(torch.from_numpy(np.array(tensor)) for tensor in tensors.values()))
    if len(results) != len(outputs):
        raise CompileError(
            f"the network has {len(results)} outputs, not {len(outputs)}",
            where="model.processing",
            why=f"the task reads {', '.join(outputs)}",
            fix="use the task that belongs to this network's head",
        )
    return {name: result.numpy() for name, result in zip(outputs, results, strict=True)}


def expected_outputs(
    network: nn.Module, inputs: Iterable[Tensors], options: ExportOptions, rewriting: RewritingContext
) -> Iterable[Pair]:
    """Each of the inputs, with what the network makes of it under its function rewriters."""
    for tensors in inputs:
        with rewriting():
            yield tensors, run_network(network, tensors, options.outputs)


@dataclass(frozen=True)
class Ties:
    """What is compared where rounding ranks what a network selects.

    Attributes:
        proof: Tells where.
        network: What the network selects from.
        program: All that the Program computes before it selects; None where only its outputs are known.
    """

    proof: AnyProof
    network: Run
    program: Run | None

    def faults(self, tensors: Tensors, expected: Tensors, found: Tensors) -> Iterator[str]:
        """Yield what is wrong for one input: of every candidate, or of what was selected."""
        candidates = self.network(tensors)
        if self.program:
            yield from _faults(self.proof.compare_candidates(candidates, self.program(tensors)))
            return
        shape = size_text(next(iter(tensors.values())).shape)
        yield from self.proof.judge_outputs(
            candidates, Selecting(shape, found, expected, pool=None), SAME_SHAPE_TOLERANCE
        ).faults


def ties_of(
    network: nn.Module, options: ExportOptions, rewriting: RewritingContext, program: Run | None = None
) -> Ties | None:
    """What is compared where rounding ranks what a network selects; None where it selects nothing."""
    from compiler.selection.tail import DetectionTail

    if options.ties is None or not isinstance(network, DetectionTail):
        return None
    return Ties(options.ties, partial(run_for_candidates, network, rewriting), program)


def run_for_candidates(network: DetectionTail, rewriting: RewritingContext, tensors: Tensors) -> Tensors:
    """What a network selects from, by name, under its function rewriters."""
    import torch

    with torch.no_grad(), rewriting():
        found = network.candidates(*(torch.from_numpy(np.array(tensor)) for tensor in tensors.values()))
    return {name: tensor.numpy() for name, tensor in found.items()}


def check_not_frozen(
    run: Run, pairs: Iterable[Pair], options: ExportOptions, comparable: Comparable, ties: Ties | None = None
) -> None:
    """Run a Program on other inputs than it was exported with.

    Args:
        run: Runs the Program.
        pairs: The inputs, and what should come out.
        options: How it was exported.
        comparable: Applied to outputs before they are compared.
        ties: What is compared where rounding ranks the outputs.

    Raises:
        CompileError: It fails on them, or something else comes out.
    """
    for tensors, expected in pairs:
        _check(run, tensors, expected, options, comparable, ties)


def _check(
    run: Run,
    tensors: Tensors,
    expected: Tensors,
    options: ExportOptions,
    comparable: Comparable,
    ties: Ties | None,
) -> None:
    shape = size_text(next(iter(tensors.values())).shape)
    try:
        found = run(tensors)
    except CompileError as error:
        raise _frozen(options, shape, error.why) from error
    except Exception as error:  # torch has no base class for its own exceptions
        raise _frozen(options, shape, str(error).strip().partition("\n")[0]) from error
    outputs, wanted = comparable(found, expected), comparable(expected, expected)
    for name, reference in wanted.items():
        if outputs[name].shape != reference.shape:
            raise _frozen(options, shape, f"{name} is {outputs[name].shape}, not {reference.shape}")
    if ties and ties.proof.is_tied(expected):
        faults = ties.faults(tensors, expected, found)
    else:
        faults = _faults(compare_arrays(name, reference, outputs[name]) for name, reference in wanted.items())
    for fault in faults:
        raise _frozen(options, shape, fault)


def _faults(compared: Iterable[Comparison]) -> Iterator[str]:
    for one in compared:
        if not one.relative_error <= SAME_SHAPE_TOLERANCE:
            yield f"{one.output} differs by {one.max_absolute_error:.3g} from the network's"


def _frozen(options: ExportOptions, shape: str, why: str) -> CompileError:
    return CompileError(
        f"the Program is wrong for an input of {shape}",
        where=f"export.exporter={options.exporter}",
        why=f"exported with other values, then run with this input: {why}",
        fix="try the other exporter (export.exporter=torchscript or dynamo), or a static shape",
    )
