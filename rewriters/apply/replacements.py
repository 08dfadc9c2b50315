"""What became of the modules of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from rewriters.failures import refusal

if TYPE_CHECKING:
    from rewriters.definition import FusionRewriter, ModuleRewriter


@dataclass(frozen=True)
class Replacement:
    """A module that took the place of another.

    Attributes:
        rewriter: The rewriter that made it.
        where: Path of the module in its author's network; of two that became one, of the second.
        original: The module that was there.
        module: The module that is there now.
    """

    rewriter: ModuleRewriter | FusionRewriter
    where: str
    original: nn.Module
    module: nn.Module


@dataclass(frozen=True)
class SkippedModule:
    """A module that its rewriter left alone.

    Attributes:
        rewriter: The rewriter.
        where: Path of the module in its author's network.
        reason: Why.
    """

    rewriter: ModuleRewriter | FusionRewriter
    where: str
    reason: str


def checked_module(result: object, rewriter: ModuleRewriter | FusionRewriter, where: str) -> nn.Module:
    """What a rewriter returned, which has to be a module.

    Raises:
        RewriterCodeError: It is something else.
    """
    if not isinstance(result, nn.Module):
        why = f"it returned {type(result).__name__}, and has to return a module or call.skip(reason)"
        raise refusal(rewriter, where, why)
    return result


def put(network: nn.Module, where: str, module: nn.Module) -> None:
    """Put a module in a place of a network, other than its root."""
    parent, _, name = where.rpartition(".")
    setattr(network.get_submodule(parent), name, module)
