"""Replacing two modules by one, where the second alone reads what the first returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from rewriters.apply.dataflow import Handover, handovers
from rewriters.apply.places import shown
from rewriters.apply.replacements import Replacement, SkippedModule, checked_module, put
from rewriters.calls import NOTHING_TO_DO, FusionCall, Skip
from rewriters.failures import blaming

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rewriters.definition import FusionRewriter
    from rewriters.target import Target


class InSequence(nn.Module):
    """Two modules one after the other, as they were before they became one.

    Args:
        first: Runs first.
        second: Takes what the first returns.
        taken: The shape in which the second takes it, but for its first axis; None where it is as it was returned.
    """

    def __init__(self, first: nn.Module, second: nn.Module, taken: tuple[int, ...] | None) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.taken = taken

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """What the second returns, in the shape of what the first does."""
        returned: Tensor = self.first(*args, **kwargs)
        taken = returned if self.taken is None else returned.reshape(-1, *self.taken)
        result: Tensor = self.second(taken)
        return result if self.taken is None else result.reshape(returned.shape)


def fuse(
    network: nn.Module, rewriter: FusionRewriter, target: Target, example: Sequence[Any], inner: str = ""
) -> Iterator[Replacement | SkippedModule]:
    """Apply a fusion rewriter to a network in place, and yield what became of each module of its second classes.

    Raises:
        RewriterCodeError: The rewriter raised, or returned something else than a module or `call.skip(reason)`.
    """
    for place, told in handovers(network, example, rewriter.first, rewriter.second, inner).items():
        where = shown(place, inner)
        if isinstance(told, str):
            yield SkippedModule(rewriter, where, told)
            continue
        yield _fused(network, rewriter, FusionCall(target, where, told.shapes), place, told)


def _fused(
    network: nn.Module, rewriter: FusionRewriter, call: FusionCall, place: str, handover: Handover
) -> Replacement | SkippedModule:
    first, second = network.get_submodule(handover.first), network.get_submodule(place)
    with blaming(rewriter, call.where):
        result = rewriter.body(call, first, second)
    if result is None:
        result = NOTHING_TO_DO
    if isinstance(result, Skip):
        return SkippedModule(rewriter, call.where, result.reason)
    module = checked_module(result, rewriter, call.where).train(first.training)
    put(network, handover.first, module)
    put(network, place, nn.Identity())
    taken = call.shapes[0][1][1:] if call.is_reshaped else None
    return Replacement(rewriter, call.where, original=InSequence(first, second, taken), module=module)
