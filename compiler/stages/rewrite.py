"""The Program after the graph rewriters."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.artifact import read_json, write_json
from compiler.graphs import ONNX_FILE, describe, save_model
from compiler.stages.programs import ProgramArtifact
from compiler.stages.rewriters import Rewriters
from compiler.stages.stage import Stage
from rewriters import Entry

LEDGER_FILE = "ledger.json"


@dataclass(frozen=True)
class Rewrite(Stage):
    """The Program after each graph rewriter that fired, and what each of them did.

    Attributes:
        program: As it was exported.
        rewriters: Those that act on graphs, in their order.
    """

    NAME: ClassVar[str] = "rewrite"
    TOOLS: ClassVar[tuple[str, ...]] = ("numpy", "onnx", "onnx-ir", "onnxscript", "onnx-graphsurgeon")

    program: ProgramArtifact
    rewriters: Rewriters

    @property
    def observations(self) -> Rewriters:
        """What the rewriters read of the target."""
        return self.rewriters

    def run(self, folder: Path) -> str:
        """Write a file for each rewriter that fired, and the ledger."""
        import onnx

        from rewriters.apply import apply_graph_rewriter

        exported = self.program.path
        model, last = onnx.load(exported), ONNX_FILE
        selection = self.rewriters.selection
        entries: list[Entry] = []
        for rewriter in selection.graphs:
            model, entry = apply_graph_rewriter(model, rewriter, selection.target)
            entries.append(entry)
            if entry.status == "fired":
                last = step_file(rewriter.name)
                save_model(model, folder / last)
        if last == ONNX_FILE:
            shutil.copyfile(exported, folder / ONNX_FILE)
        describe(folder / last).save()
        write_json(folder / LEDGER_FILE, {"version": 1, "entries": [entry.to_dict() for entry in entries]})
        fired = [entry.name for entry in entries if entry.status == "fired"]
        return f"{len(model.graph.node)} nodes after {', '.join(fired) or 'no graph rewriter'}"


def step_file(rewriter: str) -> str:
    """The file of the Program after a rewriter."""
    return f"after_{rewriter}.onnx"


def read_ledger(folder: Path) -> list[Entry]:
    """The entries of the graph rewriters, before anything is measured."""
    return [Entry.from_dict(entry) for entry in read_json(folder / LEDGER_FILE)["entries"]]
