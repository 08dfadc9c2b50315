"""What is proven behind the exported Program, step by step, and what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from compiler.graphs import OnnxRuntimeSession
from compiler.proof import AnyProof, Run, StageProof, Tolerance
from compiler.proof.verdicts import Reference, prove_stage
from compiler.proof.verdicts import Stage as ProvenStage
from compiler.stages.open_selection import OpenSelection


@dataclass(frozen=True, eq=False)
class HeldAgainst:
    """What every step is held against.

    Attributes:
        name: Of what gave it.
        references: What that gave, for each input of the proof.
        proof: Compares.
    """

    name: str
    references: Sequence[Reference]
    proof: AnyProof


@dataclass(frozen=True, eq=False)
class ProofStep:
    """Something behind the Program.

    Attributes:
        name: As the proof has it.
        open: Opens it, for running.
        tolerance: What it is held to.
    """

    name: str
    open: Callable[[], Run]
    tolerance: Tolerance

    def proofs(
        self, run: Run, against: HeldAgainst, references: Iterable[Reference], opened: OpenSelection
    ) -> list[StageProof]:
        """The proof of it at each of some inputs.

        Args:
            run: A way to run it, opened.
            against: What it is held against.
            references: Some of those.
            opened: Opens its selection.
        """
        other_ways = (cache(partial(way, self.name)) for way in (opened.run_of, opened.candidates_of))
        stage = ProvenStage(run, *other_ways)
        found = (prove_stage(stage, [one], against.proof, self.tolerance) for one in references)
        return [replace(proof, stage=self.name, reference=against.name) for proof in found]


def as_written(path: Path) -> Callable[[], Run]:
    """A way to open a graph that is run as it is."""
    return lambda: OnnxRuntimeSession.as_written(path).run
