"""Replacing modules in a copy of a network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from rewriters.calls import Call, Skip
from rewriters.errors import RewriterError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rewriters.definition import ModuleRewriter
    from rewriters.registry import Selection


@dataclass(frozen=True)
class Replacement:
    """A module that took the place of another.

    Attributes:
        rewriter: The rewriter that made it.
        where: Path of the module in the network.
        original: The module that was there.
        module: The module that is there now.
    """

    rewriter: ModuleRewriter
    where: str
    original: nn.Module
    module: nn.Module


@dataclass(frozen=True)
class SkippedModule:
    """A module that its rewriter left alone.

    Attributes:
        rewriter: The rewriter.
        where: Path of the module in the network.
        reason: Why.
    """

    rewriter: ModuleRewriter
    where: str
    reason: str


@dataclass(frozen=True)
class RewrittenNetwork:
    """A network after the module rewriters; `rewriting` adds the function rewriters around its calls.

    Attributes:
        network: A copy of the network that shares the parameters and buffers of the original.
        selection: The rewriters in use.
        replacements: The modules that were replaced.
        skipped: The modules that were left alone by a rewriter for their class.
    """

    network: nn.Module
    selection: Selection
    replacements: tuple[Replacement, ...]
    skipped: tuple[SkippedModule, ...]


def rewritten(network: nn.Module, selection: Selection) -> RewrittenNetwork:
    """Apply the module rewriters of a selection; the network itself stays as it is.

    Raises:
        RewriterError: A rewriter returned something else than a module or `call.skip(reason)`, or two rewriters are
            meant for one class.
    """
    root = _copy_sharing_tensors(network)
    # An instance that appears under several names is asked about once and stays shared.
    outcomes: dict[int, Replacement | SkippedModule] = {}
    places = [place for place in root.named_modules(remove_duplicate=False) if selection.modules]
    # Children come before parents, so that a parent's rewriter sees its final children.
    for where, module in reversed(places):
        if id(module) not in outcomes:
            rewriter = _rewriter_for(type(module), selection.modules)
            if rewriter is None:
                continue
            outcomes[id(module)] = _outcome(rewriter, Call(selection.target, where), module)
        outcome = outcomes[id(module)]
        if isinstance(outcome, Replacement):
            root = _with_submodule(root, where, outcome.module)
    in_order = tuple(reversed(outcomes.values()))
    return RewrittenNetwork(
        network=root,
        selection=selection,
        replacements=tuple(outcome for outcome in in_order if isinstance(outcome, Replacement)),
        skipped=tuple(outcome for outcome in in_order if isinstance(outcome, SkippedModule)),
    )


def _copy_sharing_tensors(network: nn.Module) -> nn.Module:
    shared = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    return copy.deepcopy(network, memo=dict(shared))


def _rewriter_for(module_type: type, rewriters: Iterable[ModuleRewriter]) -> ModuleRewriter | None:
    for ancestor in module_type.__mro__:
        matching = [rewriter for rewriter in rewriters if rewriter.module_type in (ancestor, ancestor.__name__)]
        if len(matching) > 1:
            raise RewriterError(
                f"{matching[0]} and {matching[1]} are both meant for {ancestor.__name__}, "
                f"one by class and one by name; switch one off with rewriters.disable=[{matching[1].name}]"
            )
        if matching:
            return matching[0]
    return None


def _outcome(rewriter: ModuleRewriter, call: Call, module: nn.Module) -> Replacement | SkippedModule:
    result = rewriter.body(call, module)
    if isinstance(result, Skip):
        return SkippedModule(rewriter, call.where, result.reason)
    if not isinstance(result, nn.Module):
        raise RewriterError(
            f"the module rewriter {rewriter} returned {type(result).__name__} for {call.where or 'the network'}; "
            "it has to return a module or call.skip(reason)"
        )
    return Replacement(rewriter, call.where, original=module, module=result.train(module.training))


def _with_submodule(root: nn.Module, where: str, module: nn.Module) -> nn.Module:
    if not where:
        return module
    parent, _, name = where.rpartition(".")
    setattr(root.get_submodule(parent), name, module)
    return root
