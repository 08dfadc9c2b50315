"""The proof: every step and the engine, compared with the original network on real input."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from compiler.artifact import Engine, OnnxProgram, Tensors
from compiler.backends import Backend, Session
from compiler.config.sizes import InputSize, SizeRange
from compiler.errors import Caution, CompileError
from compiler.export import open_program
from compiler.graphs import AS_WRITTEN, ONNX_FILE, OnnxRuntimeSession
from compiler.proof import AnyProof, Comparison, Run, StageProof, Tolerance, compare, prove
from compiler.proof.recording import recording_of
from compiler.proof.verdicts import Reference
from compiler.runtime import batch_runner
from compiler.sources import Network
from compiler.stages.load import LoadedNetwork
from compiler.stages.open_selection import OpenSelection
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import write_proof
from compiler.stages.rewrite import read_ledger, step_file
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Artifact, Stage
from compiler.tasks import AnySample, Prepared
from compiler.tasks.images import write_image
from rewriters import Entry, GraphRewriter, Selection, unfired, with_measurement

PROGRAM = "program"
ENGINE = "engine"


@dataclass(frozen=True)
class RealInput:
    """What a proof is made on.

    Attributes:
        proof: Prepares it, and compares what comes out.
        sample: What the task looks at.
        inputs: The batches and sizes that are proven, the smallest first.
        usual: The one that an engine is best at.
        sizes: What an engine takes.
        largest_batch: How many items an engine is given at once.
    """

    proof: AnyProof
    sample: AnySample
    inputs: tuple[InputSize, ...]
    usual: InputSize
    sizes: SizeRange
    largest_batch: int

    def prepared(self, size: InputSize) -> Prepared:
        """A batch of one size, as the task prepares it."""
        prepared: Prepared = self.proof.samples(self.sample, size.batch, size.size)
        return prepared

    def all_prepared(self) -> dict[str, Prepared]:
        """Every batch that is proven, by its size."""
        return {str(size): self.prepared(size) for size in self.inputs}

    def draw(self, engine: Engine, run: Run, path: Path) -> None:
        """Write a picture of what a run of the network or the engine finds."""
        task = self.proof.task
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Caution)  # a picture says nothing, and whoever predicts is told
            prepared = task.preprocess(self.sample, self.sizes)
        outputs = task.infer(batch_runner(task, run, engine, self.largest_batch), prepared.tensors)
        write_image(path, task.draw(self.sample, task.decode(outputs, prepared)))


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
        network: What everything is compared with.
        rewriters: All that were chosen.
        skipped: The entries of those that were not.
        required: Those that have to have fired.
        exported: The Program as it was exported.
        rewritten: After the graph rewriters; None where there is no graph.
        reduced: In a lower precision; None where it stays in the one it comes in.
        precision: That precision.
        engine: What was built.
        backend: Opens it; None where it cannot be run here, and nothing stands in for it.
        stands_in: Whether what stands in for the engine is computed, and not the engine.
        given: What the proof is made on.
        tolerance: What the steps in the network's own precision are held to.
        reduced_tolerance: What those in a lower precision are held to.
        lossy_tolerance: What the rewritten network is held to where a rewriter is lossy.
        pictures: Their names.
        measurements: Where what a backend makes of an engine is kept: it is opened faster.
    """

    NAME: ClassVar[str] = "verify"

    network: LoadedNetwork
    rewriters: Rewriters
    skipped: tuple[Entry, ...]
    required: tuple[str, ...]
    exported: ProgramArtifact
    rewritten: ProgramArtifact | None
    reduced: ProgramArtifact | None
    precision: str
    engine: Artifact
    backend: Backend | None
    stands_in: bool
    given: RealInput
    tolerance: Tolerance
    reduced_tolerance: Tolerance
    lossy_tolerance: Tolerance
    pictures: Pictures
    measurements: Path = field(compare=False)

    @property
    def observations(self) -> Rewriters:
        """What the rewriters read of the target."""
        return self.rewriters

    def run(self, folder: Path) -> str:
        """Write the proof, the ledger, the pictures and the recording."""
        network, given = self.network.open(), self.given
        samples = given.all_prepared()
        usual = samples[str(given.usual)].tensors
        programs = self._programs()
        ledger = [*network.entries(usual), *self._graph_entries(programs, usual), *self.skipped]
        ledger.sort(key=lambda entry: entry.status != "fired")
        _check_required(self.required, ledger)
        behind = self._behind_the_rewriters()
        stages = [*network.steps(), *programs, *behind]
        reduced = dict.fromkeys((name for name, _ in behind), self.reduced_tolerance)
        lossy = self.lossy_tolerance if _lossy_fired(self.rewriters.selection, ledger) else None
        opened = self._open_selection(network)

        def record(reference: str, references: Sequence[Reference]) -> None:
            recording = recording_of(reference, references, given.inputs, given.usual, given.proof)
            if recording is not None:
                recording.save(folder)

        proofs = prove(
            stages,
            samples,
            given.proof,
            self.tolerance,
            lossy=lossy,
            reduced=reduced,
            opened=opened.run_of,
            candidates=opened.candidates_of,
            keep=record,
        )
        engine = Engine.load(self.engine.folder)
        given.draw(engine, stages[0][1], folder / self.pictures.network)
        given.draw(engine, stages[-1][1], folder / self.pictures.engine)
        write_proof(folder, proofs, ledger)
        return _summed_up(proofs[-1], f"{stages[0][0]}, input {', '.join(samples)}")

    def _programs(self) -> list[tuple[str, Run]]:
        """Open the Program, and the Program after each graph rewriter, each as it is written."""
        programs = [(PROGRAM, _once(open_program(self.exported.program).run))]
        if self.rewritten is None:
            return programs
        steps = [(rewriter.name, self.rewritten.folder / step_file(rewriter.name)) for rewriter in self._graphs]
        fired = [(f"after {name}", path) for name, path in steps if path.is_file()]
        return [*programs, *((name, _once(OnnxRuntimeSession.as_written(path).run)) for name, path in fired)]

    def _open_selection(self, network: Network) -> OpenSelection:
        files = {PROGRAM: self.exported.path} if self.exported.program.IR == OnnxProgram.IR else {}
        if self.rewritten:
            files |= {f"after {one.name}": self.rewritten.folder / step_file(one.name) for one in self._graphs}
        if self.reduced:
            files[self.precision] = self.reduced.path
        graphs = {stage: (path, AS_WRITTEN) for stage, path in files.items()}
        engine = self.backend and self.backend.graph_of(Engine.load(self.engine.folder))
        if self.backend and engine:
            graphs[engine_stage(self.backend)] = engine, self.backend.simulation
        return OpenSelection(network, graphs, self.given.proof.thresholds)

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

    def _graph_entries(self, programs: Sequence[tuple[str, Run]], tensors: Tensors) -> Iterator[Entry]:
        """Yield the graph rewriters' ledger entries, with the difference that each of them made."""
        if self.rewritten is None:
            return
        contracts = {rewriter.name: rewriter.contract for rewriter in self._graphs}
        steps = iter(programs)
        _, run_before = next(steps)
        before = run_before(tensors)
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
        return _summed_up(proof, PROGRAM)


def engine_stage(backend: Backend, stands_in: bool = False) -> str:
    """The engine, or what stands in for it, as a step of the proof."""
    instead = f", {backend.STAND_IN.word}" if stands_in and backend.STAND_IN else ""
    return f"{ENGINE} ({backend.name}{instead})"


def _summed_up(proof: StageProof, reference: str) -> str:
    """How far a stage is from a reference, in a few words."""
    return f"{proof.stage} within {proof.worst.relative_error:.1e} {proof.worst.yardstick} of the {reference}"


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


def _check_required(required: Sequence[str], ledger: list[Entry]) -> None:
    missing = unfired(required, ledger)
    if missing:
        raise CompileError(
            f"the rewriter {' and '.join(missing)} was asked for and did not fire",
            where=f"rewriters.require=[{', '.join(required)}]",
            why="; ".join(f"{name}: {reason}" for name, reason in missing.items()),
            fix="leave it out of rewriters.require, or see docs/rewriters.md for what makes one fire",
        )


def _lossy_fired(selection: Selection, ledger: list[Entry]) -> bool:
    lossy = {rewriter.name for rewriter in selection.of_network if rewriter.contract.kind == "lossy"}
    return any(entry.status == "fired" and entry.name in lossy for entry in ledger)
