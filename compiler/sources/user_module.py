"""A network that the user's own code makes: what only running it can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.checkpoint import match
from compiler.config import CompileConfig
from compiler.config.schema import ModelConfig
from compiler.errors import CompileError
from compiler.proof import proof_of
from compiler.sources import Origin, first_line, refuse_single_number, with_processing
from compiler.sources.torch_network import TorchNetwork, load_weights, made
from compiler.tasks import AnySample, AnyTask

if TYPE_CHECKING:
    from torch import Tensor

    from compiler.pipeline.job import Job
    from rewriters import Selection

Outputs = list[tuple[str, "Tensor"]]


@dataclass(frozen=True)
class OwnCode(Origin):
    """What the target of a model makes.

    Attributes:
        model: With a `target`.
    """

    model: ModelConfig

    @property
    def caution(self) -> str:
        """See `Origin`."""
        return (
            "no checkpoint is given: the weights are those that model.target makes, which mean nothing unless it loads "
            "trained ones. Give checkpoint=<path>"
        )

    @cached_property
    def digest(self) -> str:
        """The digest of the code; known once it has run."""
        from compiler.networks.targets import source_digest_of

        return source_digest_of(self.model.target)

    @property
    def weights(self) -> str:
        """See `Origin`."""
        return f"as {self.model.target} makes them"

    def with_outputs(self, config: CompileConfig, task: AnyTask, sample: AnySample) -> CompileConfig:
        """Make the network, run it, and fill in what its outputs are called and whether they count items."""
        counts = (config.fixed_batch,) if config.fixed_batch else (1, 2)
        proof = proof_of(task)
        found = [_outputs(self.model, proof.samples(sample, count, ()).tensors) for count in counts]
        names = _names(found, set(task.inputs))
        counted = all(tensor.shape[0] == count for run, count in zip(found, counts, strict=True) for _, tensor in run)
        return with_processing(config, outputs=names, counted=counted)

    def load(self, job: Job, folder: Path) -> str:
        """Write the weights: the checkpoint's, which has to fit the user's own network, or those that it came with."""
        network = made(self.model)
        fill = partial(match, network.get_submodule("module"), source=str(job.checkpoint))
        return load_weights(job, folder, network, fill)

    def network(self, job: Job, selection: Selection, folder: Path) -> TorchNetwork:
        """Return the network in torch."""
        return TorchNetwork(job, selection, folder)


def _outputs(model: ModelConfig, tensors: Any) -> Outputs:
    import torch

    from compiler.networks.torch_module import TorchModule

    network = TorchModule(model.target, model.inputs, model.kwargs).eval()
    shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
    try:
        with torch.no_grad():
            return network.named_outputs(*(torch.from_numpy(tensor) for tensor in tensors.values()))
    except CompileError:
        raise
    except Exception as error:  # whatever the user's forward raises
        raise CompileError(
            "the network fails on its inputs",
            where=f"model.target={model.target}",
            why=f"{type(error).__name__}: {first_line(error)}, given {shapes}",
            fix="correct model.inputs; or where it takes no batch of another size, use shape=static",
        ) from error


def _names(found: Sequence[Outputs], inputs: set[str]) -> list[str]:
    first, *others = [[name for name, _ in run] for run in found]
    for other in others:
        if other != first:
            raise CompileError(
                "the network returns other outputs from one run to the next",
                where="output",
                why=f"first {', '.join(first)}, then {', '.join(other)}",
                fix="return the same outputs in the same order for every input",
            )
    if not first:
        raise CompileError("the network returns nothing", where="output", fix="return at least one tensor")
    names = [f"output_{name}" if name in inputs else name for name in first]
    for name, (_, tensor) in zip(names, found[0], strict=True):
        if names.count(name) > 1:
            raise CompileError(f"two outputs are called {name}", where=f"output {name}", fix="give them other keys")
        refuse_single_number(name, tensor.ndim, "model.target")
    return names
