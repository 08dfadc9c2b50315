"""The proof: the engine, compared on real input with what every step before it was compared with."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from compiler.artifact import Engine
from compiler.backends import Backend, Session
from compiler.errors import CompileError
from compiler.graphs import ONNX_FILE, OnnxRuntimeSession
from compiler.proof import Run, StageProof, Tolerance, prove
from compiler.stages.compare import LAST_PICTURE, NETWORK_PICTURE, PROGRAM
from compiler.stages.open_selection import OpenSelection
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import read_proof, summed_up, write_proof
from compiler.stages.real_input import RealInput
from compiler.stages.recorded import CANDIDATES, OPENED, OUTPUTS, Recorded
from compiler.stages.stage import Artifact, Stage
from rewriters import Entry, unfired

ENGINE = "engine"


@dataclass(frozen=True)
class Pictures:
    """File names of the pictures of the results: of the network's, and of the engine's or the last step's before it."""

    network: str
    engine: str


@dataclass(frozen=True)
class Verify(Stage):
    """The proof of a compile: the comparisons, the ledger with what every rewriter did, and two pictures.

    Attributes:
        compared: What `Compare` left: every step before the engine, and what the engine is compared with.
        skipped: The entries of the rewriters that were not chosen.
        required: Those that have to have fired.
        engine: What was built.
        backend: Opens it; None where it cannot be run here, and nothing stands in for it.
        stands_in: Whether what stands in for the engine is computed, and not the engine.
        given: What the proof is made on.
        tolerance: What the engine is held to.
        pictures: Their names.
        measurements: Where what a backend makes of an engine is kept: it is opened faster.
    """

    NAME: ClassVar[str] = "verify"

    compared: Artifact
    skipped: tuple[Entry, ...]
    required: tuple[str, ...]
    engine: Artifact
    backend: Backend | None
    stands_in: bool
    given: RealInput
    tolerance: Tolerance
    pictures: Pictures
    measurements: Path = field(compare=False)

    def run(self, folder: Path) -> str:
        """Write the proof, the ledger and the pictures."""
        before, ledger = read_proof(self.compared.folder)
        ledger = tuple(sorted((*ledger, *self.skipped), key=lambda entry: entry.status != "fired"))
        _check_required(self.required, ledger)
        shutil.copyfile(self.compared.folder / NETWORK_PICTURE, folder / self.pictures.network)
        picture = folder / self.pictures.engine
        if self.backend is None:
            shutil.copyfile(self.compared.folder / LAST_PICTURE, picture)
            proofs = before
        else:
            proofs = (*before, self._proof_of_engine(self.backend, picture))
        write_proof(folder, proofs, ledger)
        return summed_up(proofs[-1], f"{proofs[-1].reference}, input {', '.join(proofs[-1].decoded)}")

    def _proof_of_engine(self, backend: Backend, picture: Path) -> StageProof:
        """Compare the engine with what the reference gave, and draw what it finds."""
        engine, samples = Engine.load(self.engine.folder), self.given.all_prepared()
        name, run = engine_stage(backend, self.stands_in), self._open(backend, engine).run
        recorded = Recorded.load(self.compared.folder, samples)
        graph = backend.graph_of(engine)
        opened = OpenSelection({name: (graph, backend.simulation)} if graph else {}, self.given.proof.thresholds)

        def opened_run(stage: str) -> Run | None:
            return recorded.run_of(OPENED) if stage == recorded.stage else opened.run_of(stage)

        def candidates_run(stage: str) -> Run | None:
            return recorded.run_of(CANDIDATES) if stage == recorded.stage else opened.candidates_of(stage)

        stages = [(recorded.stage, recorded.run_of(OUTPUTS) or run), (name, run)]
        (proof,) = prove(
            stages, samples, self.given.proof, self.tolerance, opened=opened_run, candidates=candidates_run
        )
        self.given.draw(engine, run, picture)
        return proof

    def _open(self, backend: Backend, engine: Engine) -> Session:
        return backend.stand_in(engine) if self.stands_in else backend.open_to_prove(engine, self.measurements)


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


def _check_required(required: Sequence[str], ledger: Sequence[Entry]) -> None:
    missing = unfired(required, ledger)
    if missing:
        raise CompileError(
            f"the rewriter {' and '.join(missing)} was asked for and did not fire",
            where=f"rewriters.require=[{', '.join(required)}]",
            why="; ".join(f"{name}: {reason}" for name, reason in missing.items()),
            fix="leave it out of rewriters.require, or see docs/rewriters.md for what makes one fire",
        )
