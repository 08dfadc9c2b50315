"""The network as it is rewritten and exported, compared with the original: backends that read the same Program share
it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.artifact import OnnxProgram
from compiler.config.sizes import InputSize
from compiler.export import open_program
from compiler.graphs import AS_WRITTEN
from compiler.proof import REWRITTEN, Run, StageProof, Tolerance, prove
from compiler.sources import Network
from compiler.stages.load import LoadedNetwork
from compiler.stages.open_selection import OpenSelection
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import summed_up, write_proof
from compiler.stages.real_input import RealInput
from compiler.stages.recorded import CANDIDATES, OPENED, OUTPUTS, Recorded, Recorder
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Artifact, Stage
from rewriters import Entry, Selection

PROGRAM = "program"
NETWORK_PICTURE = "network.jpg"
"""Of what the original network finds."""


@dataclass(frozen=True)
class Compare(Stage):
    """The rewritten network and the exported Program, compared with the original network at the smallest input; what
    the ledger says of the rewriters that act on it; and what the Program gave.

    Where a rewriter is lossy the rewritten network is what all that follows is held to, so it is compared at every
    input, and what it gave is kept.

    Attributes:
        network: As it is loaded, and what is done to it.
        reference: What the original gave: see `RunReference`.
        rewriters: Those that act on the network.
        exported: The Program as it was exported.
        given: What the proof is made on.
        tolerance: What both are held to.
        lossy_tolerance: What the rewritten network is held to where a rewriter is lossy.
    """

    NAME: ClassVar[str] = "compare"

    network: LoadedNetwork
    reference: Artifact
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
        """Write the proof, the ledger, a picture, and what later stages need of what came out."""
        network, given, smallest = self.network.open(), self.given, self.given.inputs[0]
        prepared = given.prepared(smallest)
        outputs, entries = network.measured(prepared.tensors)
        ledger = list(entries)
        is_lossy = _lossy_fired(self.rewriters.selection, ledger)
        samples = given.all_prepared() if is_lossy else {str(smallest): prepared}
        recorder = Recorder(samples)
        if outputs is not None:
            recorder.kept[REWRITTEN, OUTPUTS, str(smallest)] = outputs
        proofs = self._proofs(network, recorder, is_lossy=is_lossy)
        recorder.save(folder, PROGRAM, *([REWRITTEN] if is_lossy else []))
        original, run = network.steps()[0]
        known = Recorder(samples, {**Recorded.load(self.reference.folder, samples).kept})
        given.draw(self.exported.program, known.recorded(original, OUTPUTS, run), folder / NETWORK_PICTURE)
        write_proof(folder, proofs, ledger)
        return summed_up(proofs[-1], f"{proofs[-1].reference}, input {', '.join(samples)}")

    def proofs_at(self, sizes: Sequence[InputSize], ledger: Sequence[Entry]) -> list[StageProof]:
        """The proofs at other inputs: where what follows differs, they tell whether it began here."""
        recorder = Recorder({str(size): self.given.prepared(size) for size in sizes})
        return self._proofs(self.network.open(), recorder, is_lossy=_lossy_fired(self.rewriters.selection, ledger))

    def _proofs(self, network: Network, recorder: Recorder, *, is_lossy: bool) -> list[StageProof]:
        program, samples = self.exported.program, recorder.samples
        (original, _), *rewritten = network.steps()
        reference = Recorded.load(self.reference.folder, samples)
        files = {PROGRAM: (program.path, AS_WRITTEN)} if program.IR == OnnxProgram.IR else {}
        opened = OpenSelection(files, self.given.proof.thresholds, network)

        def other_way(name: str, kind: str) -> Run | None:
            if name == original:
                return reference.run_of(name, kind)
            run = opened.run_of(name) if kind == OPENED else opened.candidates_of(name)
            return recorder.recorded(name, kind, run) if run and name == REWRITTEN else run

        return prove(
            [
                (original, reference.outputs_of(original)),
                *((name, recorder.recorded(name, OUTPUTS, run)) for name, run in rewritten),
                (PROGRAM, recorder.recorded(PROGRAM, OUTPUTS, open_program(program).run)),
            ],
            samples,
            self.given.proof,
            self.tolerance,
            lossy=self.lossy_tolerance if is_lossy else None,
            opened=lambda name: other_way(name, OPENED),
            candidates=lambda name: other_way(name, CANDIDATES),
        )


def _lossy_fired(selection: Selection, ledger: Sequence[Entry]) -> bool:
    lossy = {rewriter.name for rewriter in selection.of_network if rewriter.contract.kind == "lossy"}
    return any(entry.status == "fired" and entry.name in lossy for entry in ledger)
