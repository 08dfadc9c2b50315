"""The proof: the engine at every input, and every step behind the exported Program where it costs least, compared with
what the original network gives; where the engine differs, every step at that input."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from compiler.artifact import Engine
from compiler.backends import Backend, Session
from compiler.config.sizes import InputSize
from compiler.errors import CompileError
from compiler.export import open_program
from compiler.graphs import AS_WRITTEN
from compiler.proof import (
    REWRITTEN,
    Comparison,
    Run,
    StageProof,
    Tolerance,
    compare,
    joined,
    references_of,
)
from compiler.proof.recording import recording_of
from compiler.proof.verdicts import Stage as ProvenStage
from compiler.stages.compare import NETWORK_PICTURE, PROGRAM, Compare
from compiler.stages.open_selection import OpenSelection
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import read_proof, summed_up, write_proof
from compiler.stages.proof_steps import HeldAgainst, ProofStep, as_written
from compiler.stages.real_input import RealInput
from compiler.stages.recorded import CANDIDATES, OPENED, OUTPUTS, Recorded, Recorder
from compiler.stages.rewrite import read_ledger, step_file
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Artifact, Stage
from compiler.tasks import Prepared
from rewriters import Entry, GraphRewriter, unfired, with_measurement

ENGINE = "engine"


@dataclass(frozen=True)
class Pictures:
    """File names of the pictures of the results: of the network's, and of the engine's or the last step's before it."""

    network: str
    engine: str


@dataclass(frozen=True)
class Verify(Stage):
    """The proof of a compile: the comparisons, the ledger with what every rewriter did, two pictures, and of one input
    what the engine was held against, so that it can be proven again elsewhere.

    Attributes:
        reference: What the original network gave: see `RunReference`.
        compared: What `Compare` left: what is known of the Program as it was exported.
        comparing: What left it, and compares at more inputs; the digest of what it left covers it.
        exported: That Program.
        rewriters: Those that act on it.
        rewritten: It after them; None where there is no graph.
        reduced: In a lower precision; None where it stays in the one it comes in.
        precision: Of the engine.
        skipped: The entries of the rewriters that were not chosen.
        required: Those that have to have fired.
        engine: What was built.
        backend: Opens it; None where it cannot be run here, and nothing stands in for it.
        stands_in: Whether what stands in for the engine is computed, and not the engine.
        given: What the proof is made on.
        tolerance: What the steps in the network's own precision are held to.
        reduced_tolerance: What the engine is held to, and the Program in a lower precision.
        pictures: Their names.
        measurements: Where what a backend makes of an engine is kept: it is opened faster.
    """

    NAME: ClassVar[str] = "verify"

    reference: Artifact
    compared: Artifact
    comparing: Compare = field(compare=False)
    exported: ProgramArtifact
    rewriters: Rewriters
    rewritten: ProgramArtifact | None
    reduced: ProgramArtifact | None
    precision: str
    skipped: tuple[Entry, ...]
    required: tuple[str, ...]
    engine: Artifact
    backend: Backend | None
    stands_in: bool
    given: RealInput
    tolerance: Tolerance
    reduced_tolerance: Tolerance
    pictures: Pictures
    measurements: Path = field(compare=False)

    def run(self, folder: Path) -> str:
        """Write the proof, the ledger, the pictures and the recording."""
        samples, steps = self.given.all_prepared(), self._steps()
        before, of_network = read_proof(self.compared.folder)
        _check_required(self.required, [*of_network, *self._graph_entries(), *self.skipped])
        against = self._held_against(samples)
        self._record(against, folder)
        outputs, opened = Recorder(samples), self._open_selection()
        # Where nothing is behind the Program, it is what has to be proven at every input.
        differing, last = list(self.given.inputs), list[StageProof]()
        if steps:
            step = steps.pop()
            run = outputs.recorded(step.name, OUTPUTS, step.open())
            by_input = step.proofs(run, against, against.references, opened)
            differing = [size for size, proof in zip(self.given.inputs, by_input, strict=True) if not proof.within]
            last = [joined(by_input)]
            self._draw(run, folder)
            del run  # of an engine, which is as large as it is
        else:
            self._draw(open_program(self.exported.program).run, folder)
        first = self._compared_at(differing, before, of_network)
        looked_at = [one for one in against.references if one.size in {str(self.given.inputs[0]), *map(str, differing)}]
        between = [
            joined(step.proofs(outputs.recorded(step.name, OUTPUTS, step.open()), against, looked_at, opened))
            for step in steps
        ]
        proofs = (*first, *between, *last)
        ledger = [*of_network, *self._measured_entries(outputs), *self.skipped]
        write_proof(folder, proofs, sorted(ledger, key=lambda entry: entry.status != "fired"))
        return summed_up(proofs[-1], f"{proofs[-1].reference}, input {', '.join(samples)}")

    def _held_against(self, samples: Mapping[str, Prepared]) -> HeldAgainst:
        """What the original network gave; where a rewriter is lossy, what the rewritten one did."""
        recorded = Recorded.load(self.compared.folder, samples)
        if REWRITTEN not in recorded.stages:
            recorded = Recorded.load(self.reference.folder, samples)
        name = REWRITTEN if REWRITTEN in recorded.stages else recorded.stages[0]
        stage = ProvenStage(
            recorded.outputs_of(name),
            partial(recorded.run_of, name, OPENED),
            partial(recorded.run_of, name, CANDIDATES),
        )
        return HeldAgainst(name, references_of(samples, stage, self.given.proof), self.given.proof)

    def _record(self, against: HeldAgainst, folder: Path) -> None:
        """Keep one input, and what the engine is held against there."""
        given = self.given
        recording = recording_of(against.name, against.references, given.inputs, given.usual, given.proof)
        if recording is not None:
            recording.save(folder)

    def _draw(self, run: Run, folder: Path) -> None:
        shutil.copyfile(self.compared.folder / NETWORK_PICTURE, folder / self.pictures.network)
        self.given.draw(Engine.load(self.engine.folder), run, folder / self.pictures.engine)

    def _compared_at(
        self, differing: Sequence[InputSize], before: Sequence[StageProof], ledger: Sequence[Entry]
    ) -> list[StageProof]:
        """The proofs of what comes before the graph rewriters, at these inputs too."""
        others = [size for size in differing if str(size) not in before[-1].bases]
        if not others:
            return list(before)
        return [joined(pair) for pair in zip(before, self.comparing.proofs_at(others, ledger), strict=True)]

    def _steps(self) -> list[ProofStep]:
        """Everything behind the exported Program, in the order of the data."""
        steps = [ProofStep(stage, as_written(path), self.tolerance) for stage, path in self._graph_files().items()]
        if self.reduced:
            steps.append(ProofStep(self.precision, as_written(self.reduced.path), self.reduced_tolerance))
        if self.backend:
            open_engine = partial(self._open, self.backend, Engine.load(self.engine.folder))
            name = engine_stage(self.backend, self.stands_in)
            steps.append(ProofStep(name, lambda: open_engine().run, self.reduced_tolerance))
        return steps

    def _graph_files(self) -> dict[str, Path]:
        """The Program after each graph rewriter that fired."""
        if self.rewritten is None:
            return {}
        steps = {_after(one.name): self.rewritten.folder / step_file(one.name) for one in self._graphs}
        return {stage: path for stage, path in steps.items() if path.is_file()}

    @property
    def _graphs(self) -> tuple[GraphRewriter, ...]:
        return self.rewriters.selection.graphs

    def _open(self, backend: Backend, engine: Engine) -> Session:
        return backend.stand_in(engine) if self.stands_in else backend.open_to_prove(engine, self.measurements)

    def _open_selection(self) -> OpenSelection:
        graphs = {stage: (path, AS_WRITTEN) for stage, path in self._graph_files().items()}
        if self.reduced:
            graphs[self.precision] = self.reduced.path, AS_WRITTEN
        engine = self.backend and self.backend.graph_of(Engine.load(self.engine.folder))
        if self.backend and engine:
            graphs[engine_stage(self.backend)] = engine, self.backend.simulation
        return OpenSelection(graphs, self.given.proof.thresholds)

    def _graph_entries(self) -> list[Entry]:
        """What the ledger says of the graph rewriters, before anything is measured."""
        return [] if self.rewritten is None else read_ledger(self.rewritten.folder)

    def _measured_entries(self, outputs: Recorder) -> Iterator[Entry]:
        """Yield the graph rewriters' ledger entries, with the difference that each made at the smallest input."""
        size = str(self.given.inputs[0])
        contracts = {rewriter.name: rewriter.contract for rewriter in self._graphs}
        compared = Recorded.load(self.compared.folder, outputs.samples)
        before = compared.kept[PROGRAM, OUTPUTS, size]
        for entry in self._graph_entries():
            if entry.status != "fired":
                yield entry
                continue
            after = outputs.kept[_after(entry.name), OUTPUTS, size]
            worst = max(compare(before, after, self.given.proof), key=_share_of_size)
            yield with_measurement(entry, contracts[entry.name], worst.max_absolute_error, worst.size)
            before = after


def engine_stage(backend: Backend, stands_in: bool = False) -> str:
    """The engine, or what stands in for it, as a step of the proof."""
    instead = f", {backend.STAND_IN.word}" if stands_in and backend.STAND_IN else ""
    return f"{ENGINE} ({backend.name}{instead})"


def _after(rewriter: str) -> str:
    """The Program after a graph rewriter, as a step of the proof."""
    return f"after {rewriter}"


def _share_of_size(comparison: Comparison) -> float:
    """The largest error as contracts count it; one that is not a number is the largest of all."""
    share = comparison.max_absolute_error / (comparison.size or 1.0)
    return math.inf if math.isnan(share) else share


def _check_required(required: Sequence[str], ledger: Sequence[Entry]) -> None:
    missing = unfired(required, ledger)
    if missing:
        raise CompileError(
            f"the rewriter {' and '.join(missing)} was asked for and did not fire",
            where=f"rewriters.require=[{', '.join(required)}]",
            why="; ".join(f"{name}: {reason}" for name, reason in missing.items()),
            fix="leave it out of rewriters.require, or see docs/rewriters.md for what makes one fire",
        )
