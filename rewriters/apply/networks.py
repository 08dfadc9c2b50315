"""Replacing modules in a copy of a network."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rewriters.apply.fusions import fuse
from rewriters.apply.places import shown
from rewriters.apply.replacements import Replacement, SkippedModule, checked_module, put
from rewriters.calls import NOTHING_TO_DO, Call, Skip
from rewriters.errors import RewriterError
from rewriters.failures import blaming

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import nn

    from rewriters.definition import ModuleRewriter
    from rewriters.registry import Selection


@dataclass(frozen=True)
class RewrittenNetwork:
    """A network after the module rewriters; `rewriting` adds the function rewriters around its calls.

    Attributes:
        network: A copy of the network that shares the parameters and buffers of the original.
        selection: The rewriters in use.
        replacements: The modules that were replaced.
        skipped: The modules that a rewriter for their class left alone.
        inner: Path of the author's own network in it; empty where that is the whole.
    """

    network: nn.Module
    selection: Selection
    replacements: tuple[Replacement, ...]
    skipped: tuple[SkippedModule, ...]
    inner: str = ""


def rewritten(
    network: nn.Module, selection: Selection, example: Sequence[Any] | None = None, inner: str = ""
) -> RewrittenNetwork:
    """Apply the fusion and module rewriters of a selection; the network itself stays as it is.

    Args:
        network: What is rewritten, in a copy.
        selection: The rewriters.
        example: Arguments of the network, which it is run on where fusion rewriters have to see what it does.
        inner: Path of the author's own network in it, where something is put around that: places are named as the
            author has them.

    Raises:
        RewriterCodeError: A rewriter raised, or returned something else than a module or `call.skip(reason)`.
        RewriterError: There is no example where one is needed.
    """
    if selection.fusions and example is None:
        raise RewriterError(f"{selection.fusions[0]} needs an example that the network is run on")
    root = _copy_sharing_tensors(network)
    given = example or ()
    outcomes = [one for rewriter in selection.fusions for one in fuse(root, rewriter, selection.target, given, inner)]
    root, of_modules = _with_modules_rewritten(root, selection, inner)
    outcomes += of_modules
    return RewrittenNetwork(
        network=root,
        selection=selection,
        replacements=tuple(outcome for outcome in outcomes if isinstance(outcome, Replacement)),
        skipped=tuple(outcome for outcome in outcomes if isinstance(outcome, SkippedModule)),
        inner=inner,
    )


def _with_modules_rewritten(
    root: nn.Module, selection: Selection, inner: str
) -> tuple[nn.Module, list[Replacement | SkippedModule]]:
    # An instance that appears under several names is asked about once and stays shared.
    outcomes: dict[int, Replacement | SkippedModule] = {}
    places = [place for place in root.named_modules(remove_duplicate=False) if selection.modules]
    # Children come before parents, so that a parent's rewriter sees its final children.
    for where, module in reversed(places):
        if id(module) not in outcomes:
            rewriter = _rewriter_for(type(module), selection.modules)
            if rewriter is None:
                continue
            outcomes[id(module)] = _outcome(rewriter, Call(selection.target, shown(where, inner)), module)
        outcome = outcomes[id(module)]
        if isinstance(outcome, Replacement):
            if where:
                put(root, where, outcome.module)
            else:
                root = outcome.module
    return root, [*reversed(outcomes.values())]


def _copy_sharing_tensors(network: nn.Module) -> nn.Module:
    shared = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    return copy.deepcopy(network, memo=dict(shared))


def _rewriter_for(module_type: type, rewriters: Iterable[ModuleRewriter]) -> ModuleRewriter | None:
    by_class = {rewriter.module_type: rewriter for rewriter in rewriters}
    return next((by_class[ancestor] for ancestor in module_type.__mro__ if ancestor in by_class), None)


def _outcome(rewriter: ModuleRewriter, call: Call, module: nn.Module) -> Replacement | SkippedModule:
    with blaming(rewriter, call.where):
        result = rewriter.body(call, module)
    if result is None:
        result = NOTHING_TO_DO
    if isinstance(result, Skip):
        return SkippedModule(rewriter, call.where, result.reason)
    replaced = checked_module(result, rewriter, call.where).train(module.training)
    return Replacement(rewriter, call.where, original=module, module=replaced)
