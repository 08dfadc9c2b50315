"""The network as it is rewritten and exported, compared with the original: backends that read the same Program share
it, and what everything behind it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.artifact import OnnxProgram
from compiler.export import open_program
from compiler.graphs import AS_WRITTEN
from compiler.proof import Run, Tolerance, prove
from compiler.stages.load import LoadedNetwork
from compiler.stages.open_selection import OpenSelection
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import summed_up, write_proof
from compiler.stages.real_input import RealInput
from compiler.stages.recorded import CANDIDATES, OPENED, OUTPUTS, Recorder
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Stage
from rewriters import Entry, Selection

PROGRAM = "program"
NETWORK_PICTURE = "network.jpg"
"""Of what the original network finds."""


@dataclass(frozen=True)
class Compare(Stage):
    """The rewritten network and the exported Program, compared with the original network; what the ledger says of the
    rewriters that act on it; and what it gave, which all that follows is compared with.

    Attributes:
        network: What everything is compared with.
        rewriters: Those that act on the network.
        exported: The Program as it was exported.
        given: What the proof is made on.
        tolerance: What both are held to.
        lossy_tolerance: What the rewritten network is held to where a rewriter is lossy.
    """

    NAME: ClassVar[str] = "compare"

    network: LoadedNetwork
    rewriters: Rewriters
    exported: ProgramArtifact
    given: RealInput
    tolerance: Tolerance
    lossy_tolerance: Tolerance

    @property
    def observations(self) -> Rewriters:
        """What the rewriters read of the target."""
        return self.rewriters

    def run(self, folder: Path) -> str:
        """Write the proof, the ledger, a picture, and what the reference gave."""
        network, given, program = self.network.open(), self.given, self.exported.program
        samples = given.all_prepared()
        ledger = list(network.entries(samples[str(given.usual)].tensors))
        files = {PROGRAM: (program.path, AS_WRITTEN)} if program.IR == OnnxProgram.IR else {}
        recorder, opened = Recorder(samples), OpenSelection(files, given.proof.thresholds, network)
        steps = {name: recorder.recorded(name, OUTPUTS, run) for name, run in network.steps()}

        def kept(name: str, kind: str, run: Run | None) -> Run | None:
            return recorder.recorded(name, kind, run) if run and name in steps else run

        proofs = prove(
            [*steps.items(), (PROGRAM, open_program(program).run)],
            samples,
            given.proof,
            self.tolerance,
            lossy=self.lossy_tolerance if _lossy_fired(self.rewriters.selection, ledger) else None,
            opened=lambda name: kept(name, OPENED, opened.run_of(name)),
            candidates=lambda name: kept(name, CANDIDATES, opened.candidates_of(name)),
        )
        recorder.save(proofs[-1].reference, folder)
        given.draw(program, network.steps()[0][1], folder / NETWORK_PICTURE)
        write_proof(folder, proofs, ledger)
        return summed_up(proofs[-1], f"{proofs[-1].reference}, input {', '.join(samples)}")


def _lossy_fired(selection: Selection, ledger: list[Entry]) -> bool:
    lossy = {rewriter.name for rewriter in selection.of_network if rewriter.contract.kind == "lossy"}
    return any(entry.status == "fired" and entry.name in lossy for entry in ledger)
