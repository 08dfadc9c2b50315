"""The rewriters of a stage: which were chosen, and what they read of the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from compiler.artifact.source_code import code_digest
from compiler.errors import UsageError
from rewriters import Rewriter, RewriterError, Selection, Target, discover, select
from rewriters.target import RecordedTarget


@dataclass(frozen=True)
class ChosenRewriter:
    """A rewriter, by what it does.

    Attributes:
        name: Its name.
        source: Where it is written: `package.module:name`, which several that one function makes have in common.
        digest: Of the code that it is in, with all that its module imports; empty where it is ours.
        conditions: When it applies.
    """

    name: str
    source: str
    digest: str
    conditions: Mapping[str, Any]


@dataclass(frozen=True)
class Rewriters:
    """The rewriters of a stage. What they read of the target is recorded while they run.

    Attributes:
        chosen: What they are.
        target: What they are asked about.
        selection: They themselves; its target keeps the record, and each stage has a record of its own.
    """

    chosen: tuple[ChosenRewriter, ...]
    target: Target = field(compare=False)
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
    def _of(cls, selection: Selection, rewriters: Iterable[Rewriter]) -> Rewriters:
        chosen = (
            ChosenRewriter(one.name, one.source, code_digest([one.source.partition(":")[0]]), one.conditions.given)
            for one in rewriters
        )
        recorded = replace(selection, target=RecordedTarget(selection.target))
        return cls(tuple(chosen), selection.target, recorded)

    @property
    def read(self) -> Mapping[str, Any]:
        """What has been read of the target so far, by its path: see `compiler.stages.stage.Observations`."""
        recorded = self.selection.target
        return dict(recorded.reads) if isinstance(recorded, RecordedTarget) else {}

    def still_holds(self, read: Mapping[str, Any]) -> bool:
        """Tell whether an earlier run read what the target is now. To compare is not to read."""
        try:
            return all(self.target.value_of(path) == value for path, value in read.items())
        except AttributeError:  # a target has no such part: the record is damaged, or of another version
            return False


def select_rewriters(target: Target, disable: Iterable[str], require: Iterable[str]) -> Selection:
    """Choose the rewriters for a target.

    Raises:
        UsageError: The config names one that does not exist, cannot be used here, or rivals another.
    """
    try:
        return select(discover("compiler.networks"), target, tuple(disable), tuple(require))
    except RewriterError as error:
        raise UsageError("the rewriters cannot be chosen", where="rewriters", why=str(error)) from error
