"""Stages of the proof with their selection open, or cut off: their candidates are compared where a reference finds
nothing, and where rounding ranks what it finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.graphs import OnnxRuntimeSession, RuntimeOptions, run_until_selection, with_open_selection
from compiler.proof import Run
from compiler.sources import Network


@dataclass(frozen=True)
class OpenSelection:
    """Ways to run stages with their selection open.

    Attributes:
        graphs: The ONNX files of stages, and how each is run; not all of them need to be there.
        thresholds: Of the task.
        network: Opens its own steps; None where they are not asked for.
    """

    graphs: Mapping[str, tuple[Path, RuntimeOptions]]
    thresholds: Sequence[float]
    network: Network | None = None

    def run_of(self, stage: str) -> Run | None:
        """A way to run a stage; None where there is none."""
        if stage not in self.graphs:
            return self.network.open_steps().get(stage) if self.network else None
        path, options = self.graphs[stage]
        return open_graph(path, self.thresholds, options)

    def candidates_of(self, stage: str) -> Run | None:
        """A way to run a stage for all that it computes before it selects; None where there is none."""
        if stage not in self.graphs:
            return self.network.candidate_steps().get(stage) if self.network else None
        path, options = self.graphs[stage]
        return run_until_selection(path, self.thresholds, options)


def open_graph(path: Path, thresholds: Sequence[float], options: RuntimeOptions) -> Run | None:
    """A way to run an ONNX file with its selection open; None where it compares nothing with these thresholds."""
    import onnx

    opened = with_open_selection(onnx.load(path), thresholds)
    return None if opened is None else OnnxRuntimeSession(opened, options=options).run
