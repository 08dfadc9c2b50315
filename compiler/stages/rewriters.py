"""The rewriters of a stage: which were chosen, and what they read of the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compiler.errors import UsageError
from compiler.stages.tools import module_digest
from rewriters import Rewriter, RewriterError, Selection, Target, discover, select
from rewriters.target import RecordedTarget


@dataclass(frozen=True)
class Rewriters:
    """Rewriters, by their source. What they read of the target is recorded while they run.

    Attributes:
        sources: The digest of the module that each of them is in.
        selection: Its target keeps the record; each stage has a record of its own.
    """

    sources: Mapping[str, str]
    selection: Selection = field(compare=False)

    @classmethod
    def of_network(cls, selection: Selection) -> Rewriters:
        """Those that act on the network."""
        return cls._of(selection, selection.of_network)

    @classmethod
    def of_graph(cls, selection: Selection) -> Rewriters:
        """Those that act on the Program."""
        return cls._of(selection, selection.graphs)

    @classmethod
    def of_both(cls, selection: Selection) -> Rewriters:
        """All of them."""
        return cls._of(selection, (*selection.of_network, *selection.graphs))

    @classmethod
    def _of(cls, selection: Selection, chosen: Iterable[Rewriter]) -> Rewriters:
        sources = {rewriter.source: module_digest(rewriter.source.partition(":")[0]) for rewriter in chosen}
        return cls(sources, replace(selection, target=RecordedTarget(selection.target)))

    @property
    def read(self) -> Mapping[str, Any]:
        """What has been read of the target so far, by its path: see `compiler.stages.stage.Observations`."""
        target = self.selection.target
        return dict(target.reads) if isinstance(target, RecordedTarget) else {}

    def still_holds(self, read: Mapping[str, Any]) -> bool:
        """Tell whether an earlier run read what the target is now."""
        target = self.selection.target
        whole = target.whole() if isinstance(target, RecordedTarget) else target
        return all(whole.value_of(path) == value for path, value in read.items())


def select_rewriters(target: Target, disable: Iterable[str], require: Iterable[str]) -> Selection:
    """Choose the rewriters for a target.

    Raises:
        UsageError: The config names one that does not exist, cannot be used here, or rivals another.
    """
    try:
        return select(discover("compiler.networks"), target, tuple(disable), tuple(require))
    except RewriterError as error:
        raise UsageError("the rewriters cannot be chosen", where="rewriters", why=str(error)) from error
