"""The proof of an engine that is built from a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from compiler.artifact import Engine
from compiler.backends import Backend
from compiler.graphs import ONNX_FILE, OnnxRuntimeSession
from compiler.proof import Tolerance, prove
from compiler.stages.compare import PROGRAM
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import summed_up, write_proof
from compiler.stages.real_input import RealInput
from compiler.stages.stage import Artifact, Stage
from compiler.stages.verify import engine_stage


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
