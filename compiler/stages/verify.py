"""The proof: every step behind the exported Program and the engine, compared on real input with what that was."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from compiler.artifact import Engine, Tensors
from compiler.backends import Backend, Session
from compiler.errors import CompileError
from compiler.export import open_program
from compiler.graphs import AS_WRITTEN, ONNX_FILE, OnnxRuntimeSession
from compiler.proof import Comparison, Run, Tolerance, compare, prove
from compiler.proof.recording import recording_of
from compiler.proof.verdicts import Reference
from compiler.stages.compare import NETWORK_PICTURE, PROGRAM
from compiler.stages.open_selection import OpenSelection
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import read_proof, summed_up, write_proof
from compiler.stages.real_input import RealInput
from compiler.stages.recorded import CANDIDATES, OPENED, Recorded
from compiler.stages.rewrite import read_ledger, step_file
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Artifact, Stage
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
        compared: What `Compare` left: what is known of the Program as it was exported, and what all is compared with.
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

    compared: Artifact
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
        samples = self.given.all_prepared()
        before, of_network = read_proof(self.compared.folder)
        recorded = Recorded.load(self.compared.folder, samples)
        graphs, behind = self._after_graph_rewriters(), self._behind_the_rewriters()
        ledger = [*of_network, *self._graph_entries(graphs, samples[str(self.given.usual)].tensors), *self.skipped]
        ledger.sort(key=lambda entry: entry.status != "fired")
        _check_required(self.required, ledger)
        opened = self._open_selection()

        def run_of(stage: str, kind: str, other: Callable[[str], Run | None]) -> Run | None:
            return recorded.run_of(kind) if stage == recorded.stage else other(stage)

        def record(reference: str, references: Sequence[Reference]) -> None:
            given = self.given
            recording = recording_of(reference, references, given.inputs, given.usual, given.proof)
            if recording is not None:
                recording.save(folder)

        found = prove(
            [(recorded.stage, recorded.run), *graphs, *behind],
            samples,
            self.given.proof,
            self.tolerance,
            reduced=dict.fromkeys((name for name, _ in behind), self.reduced_tolerance),
            opened=lambda stage: run_of(stage, OPENED, opened.run_of),
            candidates=lambda stage: run_of(stage, CANDIDATES, opened.candidates_of),
            keep=record,
        )
        shutil.copyfile(self.compared.folder / NETWORK_PICTURE, folder / self.pictures.network)
        _, last = [self._program(), *graphs, *behind][-1]
        self.given.draw(Engine.load(self.engine.folder), last, folder / self.pictures.engine)
        proofs = (*before, *found)
        write_proof(folder, proofs, ledger)
        return summed_up(proofs[-1], f"{proofs[-1].reference}, input {', '.join(samples)}")

    def _program(self) -> tuple[str, Run]:
        """The Program as it was exported, which is opened when it is run."""
        return PROGRAM, lambda tensors: open_program(self.exported.program).run(tensors)

    def _after_graph_rewriters(self) -> list[tuple[str, Run]]:
        """Open the Program after each graph rewriter that fired, each as it is written."""
        return [(stage, _once(OnnxRuntimeSession.as_written(path).run)) for stage, path in self._graph_files().items()]

    def _graph_files(self) -> dict[str, Path]:
        if self.rewritten is None:
            return {}
        steps = {f"after {one.name}": self.rewritten.folder / step_file(one.name) for one in self._graphs}
        return {stage: path for stage, path in steps.items() if path.is_file()}

    @property
    def _graphs(self) -> tuple[GraphRewriter, ...]:
        return self.rewriters.selection.graphs

    def _behind_the_rewriters(self) -> list[tuple[str, Run]]:
        """Open the Program in its lower precision, and the engine, or what stands in for it here."""
        stages: list[tuple[str, Run]] = []
        if self.reduced:
            stages.append((self.precision, _once(OnnxRuntimeSession.as_written(self.reduced.path).run)))
        if self.backend:
            session = self._open(self.backend, Engine.load(self.engine.folder))
            stages.append((engine_stage(self.backend, self.stands_in), session.run))
        return stages

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

    def _graph_entries(self, graphs: Sequence[tuple[str, Run]], tensors: Tensors) -> Iterator[Entry]:
        """Yield the graph rewriters' ledger entries, with the difference that each of them made."""
        if self.rewritten is None:
            return
        contracts = {rewriter.name: rewriter.contract for rewriter in self._graphs}
        _, run_before = self._program()
        before = run_before(tensors) if graphs else {}
        steps = iter(graphs)
        for entry in read_ledger(self.rewritten.folder):
            if entry.status != "fired":
                yield entry
                continue
            _, run_after = next(steps)
            after = run_after(tensors)
            worst = max(compare(before, after, self.given.proof), key=_share_of_size)
            yield with_measurement(entry, contracts[entry.name], worst.max_absolute_error, worst.size)
            before = after


@dataclass(frozen=True)
class VerifyEngine(Stage):
    """The proof of an engine that was built from a bundle: against the Program in it, which the compile has proven.

    Attributes:
        program: In the bundle.
        engine: Built from it.
        backend: Opens it.
        given: What the proof is made on.
        tolerance: What the engine is held to.
        picture: Of what it finds.
    """

    NAME: ClassVar[str] = "verify"

    program: ProgramArtifact
    engine: Artifact
    backend: Backend
    given: RealInput
    tolerance: Tolerance
    picture: str

    def run(self, folder: Path) -> str:
        """Write the proof, with an empty ledger, and the picture."""
        import onnx

        from rewriters.onnx_functions import with_definitions

        engine = Engine.load(self.engine.folder)
        run = self.backend.open(engine).run
        with TemporaryDirectory() as temporary:
            runnable = Path(temporary) / ONNX_FILE
            model = with_definitions(onnx.load(self.program.path))
            runnable.write_bytes(model.SerializeToString())
            stages = [(PROGRAM, OnnxRuntimeSession.as_written(runnable).run), (engine_stage(self.backend), run)]
            (proof,) = prove(stages, self.given.all_prepared(), self.given.proof, self.tolerance)
        self.given.draw(engine, run, folder / self.picture)
        write_proof(folder, [proof], [])
        return summed_up(proof, PROGRAM)


def engine_stage(backend: Backend, stands_in: bool = False) -> str:
    """The engine, or what stands in for it, as a step of the proof."""
    instead = f", {backend.STAND_IN.word}" if stands_in and backend.STAND_IN else ""
    return f"{ENGINE} ({backend.name}{instead})"


def _once(run: Run) -> Run:
    """A way to run a stage that runs it once on each input: the ledger and the proof ask for the same."""
    results: dict[int, tuple[Tensors, Tensors]] = {}

    def remembered(tensors: Tensors) -> Tensors:
        # The inputs are kept too: the identity of what is gone is given to something else.
        if id(tensors) not in results:
            results[id(tensors)] = tensors, run(tensors)
        return results[id(tensors)][1]

    return remembered


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
