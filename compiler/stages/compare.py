"""The proof of all that comes before the engine: backends that read the same Program share it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.artifact import OnnxProgram, Tensors
from compiler.export import open_program
from compiler.graphs import AS_WRITTEN, OnnxRuntimeSession
from compiler.proof import Comparison, Run, Tolerance, compare, prove
from compiler.sources import Network
from compiler.stages.load import LoadedNetwork
from compiler.stages.open_selection import OpenSelection
from compiler.stages.programs import ProgramArtifact
from compiler.stages.proof_file import summed_up, write_proof
from compiler.stages.real_input import RealInput
from compiler.stages.recorded import CANDIDATES, OPENED, OUTPUTS, Recorder
from compiler.stages.rewrite import read_ledger, step_file
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Stage
from rewriters import Entry, GraphRewriter, Selection, with_measurement

PROGRAM = "program"
NETWORK_PICTURE, LAST_PICTURE = "network.jpg", "last.jpg"
"""Of what the original network finds, and the last step before the engine."""


@dataclass(frozen=True)
class Compare(Stage):
    """Every step before the engine, compared with the original network; what the ledger says of them; and what the
    engine is to be compared with.

    Attributes:
        network: What everything is compared with.
        rewriters: All that were chosen.
        exported: The Program as it was exported.
        rewritten: After the graph rewriters; None where there is no graph.
        reduced: In a lower precision; None where it stays in the one it comes in.
        precision: That precision; None where there is none.
        given: What the proof is made on.
        tolerance: What the steps in the network's own precision are held to.
        reduced_tolerance: What the one in a lower precision is held to; None where there is none.
        lossy_tolerance: What the rewritten network is held to where a rewriter is lossy.
    """

    NAME: ClassVar[str] = "compare"

    network: LoadedNetwork
    rewriters: Rewriters
    exported: ProgramArtifact
    rewritten: ProgramArtifact | None
    reduced: ProgramArtifact | None
    precision: str | None
    given: RealInput
    tolerance: Tolerance
    reduced_tolerance: Tolerance | None
    lossy_tolerance: Tolerance

    @property
    def observations(self) -> Rewriters:
        """What the rewriters read of the target."""
        return self.rewriters

    def run(self, folder: Path) -> str:
        """Write the proof, the ledger, two pictures, and what the reference gave."""
        network, given = self.network.open(), self.given
        samples = given.all_prepared()
        usual = samples[str(given.usual)].tensors
        programs = self._programs()
        ledger = [*network.entries(usual), *self._graph_entries(programs, usual)]
        recorder, opened = Recorder(samples), self._open_selection(network)
        steps = {name: recorder.recorded(name, OUTPUTS, run) for name, run in network.steps()}
        stages = [*steps.items(), *programs, *self._reduced()]

        def kept(name: str, kind: str, run: Run | None) -> Run | None:
            return recorder.recorded(name, kind, run) if run and name in steps else run

        proofs = prove(
            stages,
            samples,
            given.proof,
            self.tolerance,
            lossy=self.lossy_tolerance if _lossy_fired(self.rewriters.selection, ledger) else None,
            reduced={self.precision: self.reduced_tolerance} if self.precision and self.reduced_tolerance else {},
            opened=lambda name: kept(name, OPENED, opened.run_of(name)),
            candidates=lambda name: kept(name, CANDIDATES, opened.candidates_of(name)),
        )
        recorder.save(proofs[-1].reference, folder)
        takes = self.exported.program
        given.draw(takes, network.steps()[0][1], folder / NETWORK_PICTURE)
        given.draw(takes, stages[-1][1], folder / LAST_PICTURE)
        write_proof(folder, proofs, ledger)
        return summed_up(proofs[-1], f"{stages[0][0]}, input {', '.join(samples)}")

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
        if self.reduced and self.precision:
            files[self.precision] = self.reduced.path
        graphs = {stage: (path, AS_WRITTEN) for stage, path in files.items()}
        return OpenSelection(graphs, self.given.proof.thresholds, network)

    @property
    def _graphs(self) -> tuple[GraphRewriter, ...]:
        return self.rewriters.selection.graphs

    def _reduced(self) -> list[tuple[str, Run]]:
        """Open the Program in its lower precision."""
        if not (self.reduced and self.precision):
            return []
        return [(self.precision, _once(OnnxRuntimeSession.as_written(self.reduced.path).run))]

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


def _lossy_fired(selection: Selection, ledger: list[Entry]) -> bool:
    lossy = {rewriter.name for rewriter in selection.of_network if rewriter.contract.kind == "lossy"}
    return any(entry.status == "fired" and entry.name in lossy for entry in ledger)
