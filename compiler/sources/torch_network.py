"""A network of torch, from its weights to the Program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.artifact import OnnxProgram, Tensors
from compiler.checkpoint import read_checkpoint
from compiler.errors import CompileError
from compiler.export import Comparable, ExportOptions, export_onnx, export_traced, run_network
from compiler.export.frozen import run_for_candidates
from compiler.export.options import RewritingContext
from compiler.networks import with_tail
from compiler.proof import NETWORK, REWRITTEN, Run
from compiler.sources.source import Checkpoint, Network, Rewriting, Weights
from rewriters import Entry, Ledger

if TYPE_CHECKING:
    from torch import Tensor, nn

    from rewriters.apply import RewrittenNetwork

WEIGHTS_FILE = "weights.pt"


@dataclass(frozen=True, eq=False)
class TorchNetwork(Network):
    """The original network and the rewritten one, built when a stage first needs them.

    Attributes:
        build: Makes the network, without its weights.
        folder: Of the load stage, which holds the weights.
        rewrite: What is done to it.
        inner: Path of the author's own network in what is built; empty where that is the whole.
    """

    build: Callable[[], nn.Module]
    folder: Path
    rewrite: Rewriting
    inner: str = ""

    @cached_property
    def bare(self) -> nn.Module:
        """The network as its paper draws it."""
        import torch

        network = self.build()
        network.load_state_dict(torch.load(self.folder / WEIGHTS_FILE, weights_only=True))
        return network

    @cached_property
    def original(self) -> nn.Module:
        """The same with its tail."""
        return with_tail(self.bare, self.rewrite.tail) if self.rewrite.tail else self.bare

    @cached_property
    def rewritten(self) -> RewrittenNetwork:
        """A copy with its modules rewritten; it shares the weights."""
        import torch

        from rewriters.apply import rewritten

        observed = [torch.tensor(array) for array in self.rewrite.observed.tensors.values()]
        own = self.bare.get_submodule(self.inner)
        inner = next(path for path, module in self.original.named_modules() if module is own)
        return rewritten(self.original, self.rewrite.selection, observed, inner)

    def rewriting(self, *, measure: bool = False) -> AbstractContextManager[Ledger]:
        """The context in which function rewriters act on the rewritten network."""
        from rewriters.apply import rewriting

        return rewriting(self.rewritten, measure=measure)

    def export(
        self,
        kind: str,
        example: Tensors,
        others: Iterable[Tensors],
        options: ExportOptions,
        comparable: Comparable,
        folder: Path,
    ) -> str:
        """Write the exported Program."""
        export = export_onnx if kind == OnnxProgram.IR else export_traced
        ledgers: list[Ledger] = []

        @contextmanager
        def noted() -> Iterator[None]:
            with self.rewriting() as ledger:
                ledgers.append(ledger)
                yield

        try:
            program = export(self.rewritten.network, example, others, options, folder, noted, comparable)
        except CompileError:
            self.measured(example)  # a rewriter that gives what the network cannot go on with is named, and not that
            raise
        what = f"{program.IR} by {options.exporter}"
        if isinstance(program, OnnxProgram):
            what = f"ONNX opset {program.opset} by {options.exporter}, {program.nodes} nodes"
        entries = (entry for ledger in ledgers for entry in ledger.entries() if entry.status == "fired")
        return ", ".join([what, *dict.fromkeys(entry.name for entry in entries)])

    def measured(self, tensors: Tensors) -> tuple[Tensors, Iterable[Entry]]:
        """See `Network`: beside everything that was rewritten its original is run, and the difference measured."""
        with self.rewriting(measure=True) as ledger:
            outputs = run_network(self.rewritten.network, tensors, self.rewrite.outputs)
        return outputs, ledger.entries()

    def steps(self) -> list[tuple[str, Run]]:
        """The original network and the rewritten one."""
        outputs = self.rewrite.outputs
        return [
            (NETWORK, lambda tensors: run_network(self.original, tensors, outputs)),
            (REWRITTEN, partial(self._run_rewritten, outputs)),
        ]

    def open_steps(self) -> Mapping[str, Run]:
        """See `Network`."""
        return {
            name: partial(self._run_open, network, run)
            for (name, run), network in zip(self.steps(), (self.original, self.rewritten.network), strict=True)
        }

    def candidate_steps(self) -> Mapping[str, Run]:
        """See `Network`."""
        from compiler.selection.tail import DetectionTail

        contexts: dict[str, tuple[nn.Module, RewritingContext]]
        contexts = {NETWORK: (self.original, nullcontext), REWRITTEN: (self.rewritten.network, self.rewriting)}
        return {
            name: partial(run_for_candidates, network, rewriting)
            for name, (network, rewriting) in contexts.items()
            if isinstance(network, DetectionTail)
        }

    def _run_open(self, network: nn.Module, run: Run, tensors: Tensors) -> Tensors:
        from compiler.selection.tail import open_selection

        with open_selection(network):
            return run(tensors)

    def _run_rewritten(self, outputs: tuple[str, ...], tensors: Tensors) -> Tensors:
        with self.rewriting():
            return run_network(self.rewritten.network, tensors, outputs)


def save_weights(
    network: nn.Module,
    weights: Weights,
    fill: Callable[[dict[str, Tensor], Path], list[str]],
    folder: Path,
    own: str = "random",
) -> str:
    """Write a network's weights, those of the checkpoint where there is one, and say what they are.

    Args:
        network: With the weights to write where there is no checkpoint.
        weights: What they are.
        fill: Puts a checkpoint's weights into the network, and says what was done to them.
        folder: Of the stage.
        own: What they are where there is no checkpoint.
    """
    import torch

    described = [own]
    if isinstance(weights, Checkpoint):
        with weights.unchanged():  # until they are copied: some are read from the file no sooner
            described = [weights.path.name, *fill(read_checkpoint(weights.path), weights.path)]
    torch.save(network.state_dict(), folder / WEIGHTS_FILE)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return ", ".join([f"{parameters / 1e6:.1f} M parameters", *described])
