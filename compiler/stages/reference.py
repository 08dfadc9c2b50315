"""What the original network gives for the input of the proof: whatever is made of it is compared with that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.proof import Run, references_of
from compiler.proof.verdicts import Stage as ProvenStage
from compiler.stages.load import LoadedNetwork
from compiler.stages.open_selection import OpenSelection
from compiler.stages.real_input import RealInput
from compiler.stages.recorded import CANDIDATES, OPENED, OUTPUTS, Recorder
from compiler.stages.stage import Stage


@dataclass(frozen=True)
class RunReference(Stage):
    """What the original network gives: one run for each input of the proof, which every backend and precision shares.

    Attributes:
        network: What everything is compared with; no rewriter acts on it.
        given: What the proof is made on.
    """

    NAME: ClassVar[str] = "reference"

    network: LoadedNetwork
    given: RealInput

    def run(self, folder: Path) -> str:
        """Write what it gives; where that says nothing, also what it selects from."""
        network, samples = self.network.open(), self.given.all_prepared()
        name, run = network.steps()[0]
        recorder, opened = Recorder(samples), OpenSelection({}, self.given.proof.thresholds, network)

        def kept(kind: str, run: Run | None) -> Run | None:
            return run and recorder.recorded(name, kind, run)

        stage = ProvenStage(
            recorder.recorded(name, OUTPUTS, run),
            lambda: kept(OPENED, opened.run_of(name)),
            lambda: kept(CANDIDATES, opened.candidates_of(name)),
        )
        references_of(samples, stage, self.given.proof)
        recorder.save(folder, name)
        return f"{name}, input {', '.join(samples)}"
