"""The network, with its weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from compiler.sources import Network, Rewriting, Source, Weights
from compiler.stages.stage import Artifact, Stage
from compiler.tasks import AnyTask
from rewriters import Selection


@dataclass(frozen=True)
class Load(Stage):
    """The network as its source makes it, with its weights checked against it.

    Attributes:
        source: Where it comes from.
        weights: What its weights are.
    """

    NAME: ClassVar[str] = "load"

    source: Source
    weights: Weights

    @property
    def tools(self) -> tuple[str, ...]:
        """The source's own."""
        return self.source.TOOLS

    def run(self, folder: Path) -> str:
        """Write what the other stages need of the network."""
        return self.source.load(self.weights, folder)


@dataclass(frozen=True)
class LoadedNetwork:
    """What `Load` made, and what is done to it.

    Attributes:
        loaded: Its folder, by its digest.
        rewriting: Its tail, its outputs, its rewriters.
        source: Opens it; the digest covers it.
        task: Says what the network is given, where it does not say so itself; the digest of the inputs covers it.
    """

    loaded: Artifact
    rewriting: Rewriting
    source: Source = field(compare=False)
    task: AnyTask = field(compare=False)

    def under(self, selection: Selection) -> LoadedNetwork:
        """The same, with the selection that keeps the record of a stage."""
        return replace(self, rewriting=replace(self.rewriting, selection=selection))

    def open(self) -> Network:
        """The network, which is built when it is first needed."""
        return self.source.network(self.loaded.folder, self.rewriting, self.task)
