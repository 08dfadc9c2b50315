"""A network of torch, from its weights to the Program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from functools import cached_property, partial
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.artifact import Tensors
from compiler.checkpoint import read_checkpoint
from compiler.config import CompileConfig
from compiler.config.schema import ModelConfig
from compiler.export import Axis, ExportOptions, export_onnx, run_network
from compiler.networks import build, with_tail
from compiler.proof import NETWORK, REWRITTEN, Run
from compiler.sources import Network
from compiler.tasks import AnyTask
from rewriters import Entry, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor, nn

    from compiler.pipeline.job import Job
    from rewriters.apply import RewrittenNetwork

WEIGHTS_FILE = "weights.pt"
EXPORT_BATCH = 2
"""Exporters freeze a dimension of one."""


class TorchNetwork(Network):
    """The original network and the rewritten one, built when a stage first needs them."""

    @cached_property
    def original(self) -> nn.Module:
        """The network as its paper draws it, with its tail."""
        import torch

        model = self.job.config.model
        network = made(model)
        network.load_state_dict(torch.load(self.folder / WEIGHTS_FILE, weights_only=True))
        return with_tail(network, model.tail) if model.tail else network

    @cached_property
    def rewritten(self) -> RewrittenNetwork:
        """A copy with its modules rewritten; it shares the weights."""
        from rewriters.apply import rewritten

        return rewritten(self.original, self.selection)

    def rewriting(self, *, measure: bool = False) -> AbstractContextManager[Ledger]:
        """Return the context in which function rewriters act on the rewritten network."""
        from rewriters.apply import rewriting

        return rewriting(self.rewritten, measure=measure)

    def export(self, folder: Path) -> str:
        """Write the exported Program."""
        job = self.job
        config, task = job.config, job.task
        options = ExportOptions(config.exporter, config.export.opset, varying_axes(config, task), task.outputs)
        batch = config.fixed_batch or EXPORT_BATCH
        program = export_onnx(
            self.rewritten.network,
            task.samples(job.source, job.boxes, batch, config.sizes.usual).tensors,
            other_inputs(job),
            options,
            folder,
            rewriting=self.rewriting,
            comparable=task.comparable,
        )
        rewriters = dict.fromkeys(replacement.rewriter.name for replacement in self.rewritten.replacements)
        parts = (f"ONNX opset {program.opset} by {options.exporter}", f"{program.nodes} nodes", *rewriters)
        return ", ".join(parts)

    def entries(self, tensors: Tensors) -> Iterable[Entry]:
        """Run the rewritten network, and return what was measured at every place that was rewritten."""
        with self.rewriting(measure=True) as ledger:
            run_network(self.rewritten.network, tensors, self.job.task.outputs)
        return ledger.entries()

    def stages(self) -> list[tuple[str, Run]]:
        """Return the original network and the rewritten one."""
        outputs = self.job.task.outputs
        return [
            (NETWORK, lambda tensors: run_network(self.original, tensors, outputs)),
            (REWRITTEN, partial(self._run_rewritten, outputs)),
        ]

    def _run_rewritten(self, outputs: tuple[str, ...], tensors: Tensors) -> Tensors:
        with self.rewriting():
            return run_network(self.rewritten.network, tensors, outputs)


def made(model: ModelConfig) -> nn.Module:
    """Return a model's network, in evaluation mode, as its config builds it or the user's own code."""
    if model.network:
        return build(model.network)
    from compiler.networks.torch_module import TorchModule

    return TorchModule(model.target, model.inputs, model.kwargs).eval().requires_grad_(False)


def load_weights(job: Job, folder: Path, network: nn.Module, fill: Callable[[dict[str, Tensor]], list[str]]) -> str:
    """Write a network's weights, those of the checkpoint where there is one, and say what they are.

    Args:
        job: Names the checkpoint.
        folder: Of the stage.
        network: With the weights to write where there is no checkpoint.
        fill: Puts the checkpoint's weights into the network, and says what was done to them.
    """
    import torch

    checkpoint = job.checkpoint
    origin = [checkpoint.name, *fill(read_checkpoint(checkpoint))] if checkpoint else [job.origin.weights or "drawn"]
    torch.save(network.state_dict(), folder / WEIGHTS_FILE)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return ", ".join([f"{parameters / 1e6:.1f} M parameters", *origin])


def varying_axes(config: CompileConfig, task: AnyTask) -> dict[str, tuple[Axis, ...]]:
    """Return the dimensions of each input that vary: the batch, and the sides of which there are several lengths."""
    if not config.resolved_shape.dynamic:
        return dict.fromkeys(task.inputs, ())
    sizes = config.sizes
    bounds = zip(task.sides, sizes.stride, sizes.smallest, sizes.largest, strict=True)
    varying = {
        name: partial(Axis, name=name, stride=step, smallest=low, largest=high)
        for name, step, low, high in bounds
        if low < high
    }
    varying["batch"] = partial(Axis, name="batch")
    return {
        input: tuple(varying[name](position) for position, name in names.items() if name in varying)
        for input, names in task.axes.items()
    }


def other_inputs(job: Job) -> Iterator[Tensors]:
    """Yield inputs with other values; where sizes vary, of the smallest, and of one that differs along every side."""
    config, task, sizes = job.config, job.task, job.config.sizes
    if config.resolved_shape.dynamic:
        steps = [(2 + index) * stride for index, stride in enumerate(sizes.stride)]
        between = map(min, map(add, sizes.smallest, steps), sizes.largest)
        for batch, size in ((1, sizes.smallest), (EXPORT_BATCH + 1, tuple(between))):
            yield task.samples(job.source, job.boxes, batch, size).tensors
    else:
        yield task.other_samples(job.source, job.boxes, config.batch.usual, sizes.usual)
