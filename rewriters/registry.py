"""Which rewriters there are, and which of them a run uses."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING

from rewriters.definition import FunctionRewriter, FusionRewriter, GraphRewriter, ModuleRewriter, Rewriter
from rewriters.errors import RewriterError
from rewriters.failures import blaming, line_of_import, told
from rewriters.ledger import Entry, skipped_entry
from rewriters.target import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator

ENTRY_POINT_GROUP = "deploy_compiler.rewriters"
BUILT_IN_PACKAGES = ("rewriters.functions", "rewriters.modules", "rewriters.graph")
BESIDE_A_NETWORK = "_rewriters"
"""How a module's name ends that holds the rewriters of the network beside it."""


@dataclass(frozen=True)
class Selection:
    """The rewriters that a run uses.

    Attributes:
        target: What the run compiles for.
        functions: The function rewriters.
        modules: The module rewriters.
        fusions: The fusion rewriters, by name.
        graphs: The graph rewriters, in the order they run.
        entries: A ledger entry for each rewriter that was not chosen, with the reason.
    """

    target: Target
    functions: tuple[FunctionRewriter, ...] = ()
    modules: tuple[ModuleRewriter, ...] = ()
    fusions: tuple[FusionRewriter, ...] = ()
    graphs: tuple[GraphRewriter, ...] = ()
    entries: tuple[Entry, ...] = ()

    @property
    def of_network(self) -> tuple[FunctionRewriter | FusionRewriter | ModuleRewriter, ...]:
        """Those that act on the network, before there is a graph."""
        return (*self.functions, *self.fusions, *self.modules)


def discover(*packages: str) -> tuple[Rewriter, ...]:
    """The rewriters of this package, those of other packages, and those that installed plug-ins add.

    Args:
        packages: Names of packages in which, at any depth, the modules called `..._rewriters` hold rewriters: those of
            one network, beside it.

    Raises:
        RewriterError: A module of rewriters cannot be imported, or a plug-in holds none.
    """
    found: list[Rewriter] = []
    for package in map(importlib.import_module, BUILT_IN_PACKAGES):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            found.extend(_rewriters_in(_imported(module.name)))
    for package in map(importlib.import_module, packages):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith(BESIDE_A_NETWORK):
                found.extend(_rewriters_in(_imported(module.name)))
    for entry_point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda point: (point.value, point.name)):
        found.extend(_from_plug_in(entry_point))
    return tuple(dict.fromkeys(found))


def select(
    rewriters: Iterable[Rewriter],
    target: Target,
    disable: Collection[str] = (),
    require: Collection[str] = (),
) -> Selection:
    """Choose the rewriters for a target: of those that rewrite the same thing, the most specific.

    Args:
        rewriters: The rewriters to choose from.
        target: What the run compiles for.
        disable: Names of rewriters to leave out.
        require: Names of rewriters that have to be chosen.

    Raises:
        RewriterError: A name is unknown, a required rewriter cannot be chosen, or two are equally specific.
    """
    rewriters = tuple(rewriters)
    _check_names(rewriters, disable, require)
    rejected = {rewriter: reason for rewriter in rewriters if (reason := _excluded(rewriter, target, disable))}
    applicable = [rewriter for rewriter in rewriters if rewriter not in rejected]
    chosen = [_most_specific(rivals) for rivals in _rivals(applicable)]
    winners = {(rewriter.kind, rewriter.subject): rewriter for rewriter in chosen}
    for rewriter in applicable:
        if (winner := winners[rewriter.kind, rewriter.subject]) is not rewriter:
            rejected[rewriter] = f"less specific than {winner}"
    _check_required(require, chosen, rejected)
    return Selection(
        target,
        functions=tuple(rewriter for rewriter in chosen if isinstance(rewriter, FunctionRewriter)),
        modules=tuple(rewriter for rewriter in chosen if isinstance(rewriter, ModuleRewriter)),
        fusions=tuple(sorted((one for one in chosen if isinstance(one, FusionRewriter)), key=lambda one: one.name)),
        graphs=_ordered([rewriter for rewriter in chosen if isinstance(rewriter, GraphRewriter)]),
        entries=tuple(skipped_entry(rewriter, rejected[rewriter]) for rewriter in rewriters if rewriter in rejected),
    )


def _rewriters_in(module: ModuleType) -> list[Rewriter]:
    return [value for value in vars(module).values() if isinstance(value, Rewriter)]


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # whatever the code of a rewriter's author raises
        raise RewriterError(f"the module of rewriters {name} {_unimportable(error)}") from error


def _unimportable(error: Exception) -> str:
    line = line_of_import(error)
    return f"cannot be imported: {told(error)}{f' ({line})' if line else ''}"


def _from_plug_in(entry_point: EntryPoint) -> list[Rewriter]:
    distribution = entry_point.dist.name if entry_point.dist else "an unknown distribution"
    label = f"the rewriter plug-in {entry_point.name!r} of {distribution} ({entry_point.value})"
    try:
        loaded = entry_point.load()
    except Exception as error:
        raise RewriterError(f"{label} {_unimportable(error)}; repair or uninstall {distribution}") from error
    if isinstance(loaded, Rewriter):
        return [loaded]
    if isinstance(loaded, ModuleType) and (found := _rewriters_in(loaded)):
        return found
    raise RewriterError(f"{label} names neither a rewriter nor a module that holds one")


def _check_names(rewriters: Iterable[Rewriter], disable: Collection[str], require: Collection[str]) -> None:
    known = sorted({rewriter.name for rewriter in rewriters})
    for option, names in (("disable", disable), ("require", require)):
        for name in names:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=3)
                hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known) or 'none'}"
                raise RewriterError(f"rewriters.{option}: there is no rewriter {name!r}; {hint}")
    if both := sorted(set(disable) & set(require)):
        raise RewriterError(f"{both[0]} is both disabled and required; take it out of one of the two lists")


def _excluded(rewriter: Rewriter, target: Target, disable: Collection[str]) -> str:
    if rewriter.name in disable:
        return "disabled by the config"
    if isinstance(rewriter, GraphRewriter) and target.ir != "onnx":
        return f"the Program is in {target.ir}, and has no ONNX graph"
    with blaming(rewriter, "its conditions"):
        return rewriter.conditions.unmet(target)


def _rivals(rewriters: Iterable[Rewriter]) -> Iterator[list[Rewriter]]:
    groups: dict[tuple[str, Hashable], list[Rewriter]] = {}
    for rewriter in rewriters:
        groups.setdefault((rewriter.kind, rewriter.subject), []).append(rewriter)
    yield from groups.values()


def _most_specific(rivals: Iterable[Rewriter]) -> Rewriter:
    best, *others = sorted(rivals, key=lambda rewriter: -rewriter.conditions.specificity)
    if others and others[0].conditions.specificity == best.conditions.specificity:
        raise RewriterError(
            f"{best} and {others[0]} both rewrite {best.rewrites} and are equally specific; "
            f"give one of them another condition, or switch one off with rewriters.disable=[{others[0].name}]"
        )
    return best


def _check_required(require: Collection[str], chosen: Iterable[Rewriter], rejected: dict[Rewriter, str]) -> None:
    names = {rewriter.name for rewriter in chosen}
    for name in require:
        if name not in names:
            reason = "; ".join(reason for rewriter, reason in rejected.items() if rewriter.name == name)
            raise RewriterError(f"{name} is required, but this run cannot use it: {reason}")


def _ordered(rewriters: Iterable[GraphRewriter]) -> tuple[GraphRewriter, ...]:
    by_name = {rewriter.name: rewriter for rewriter in rewriters}
    sorter = TopologicalSorter({name: rewriter.after & by_name.keys() for name, rewriter in by_name.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise RewriterError(f"graph rewriters wait for each other: {' after '.join(error.args[1])}") from error
    order: list[GraphRewriter] = []
    ready: list[str] = []
    while sorter.is_active():
        ready = sorted([*ready, *sorter.get_ready()])
        first = ready.pop(0)
        order.append(by_name[first])
        sorter.done(first)
    return tuple(order)
