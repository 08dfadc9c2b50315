"""A network that the user's own code makes: what only running it can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.artifact import Tensors
from compiler.checkpoint import match
from compiler.checkpoint.matching import Shapes
from compiler.config import CompileConfig
from compiler.errors import CompileError, UsageError
from compiler.networks.trained_counts import shapes_of, trained_count
from compiler.proof import proof_of
from compiler.sources.axes import with_axes
from compiler.sources.source import Rewriting, Source, Weights, first_line, with_processing
from compiler.sources.torch_network import TorchNetwork, save_weights
from compiler.sources.user_code import UserCode, observe
from compiler.tasks import AnySample, AnyTask, build_task
from compiler.tasks.arrays.task import RawTensors

if TYPE_CHECKING:
    from torch import Tensor

    from compiler.networks.torch_module import TorchModule

NUM_CLASSES = "num_classes"
"""What torchvision, timm and most others call it."""
MODULE = "module"
"""The user's own network in a `TorchModule`."""
Outputs = list[tuple[str, "Tensor"]]


@dataclass(frozen=True)
class UserModule(Source):
    """What the target of a model makes.

    Attributes:
        target: `package.module:callable`.
        inputs: The network's inputs and their shapes.
        arguments: What the target is called with.
        user_code: What else it depends on; known once the network has run.
    """

    target: str
    inputs: Mapping[str, str]
    arguments: Mapping[str, Any]
    user_code: UserCode | None = None

    @property
    def caution(self) -> str:
        """See `Source`."""
        return (
            "no checkpoint is given: the weights are those that model.target makes, which mean nothing unless it loads "
            "trained ones. Give checkpoint=<path>"
        )

    @property
    def own_weights(self) -> str:
        """See `Source`."""
        return f"as {self.target} makes them"

    def build(self) -> TorchModule:
        """The module, called by the names of its inputs, in evaluation mode.

        Raises:
            CompileError: It is made of something else than it was.
        """
        from compiler.networks.torch_module import TorchModule

        network = TorchModule(self.target, self.inputs, self.arguments).eval().requires_grad_(requires_grad=False)
        if self.user_code is not None:
            self.user_code.check(network, self._where)
        return network

    def with_inputs(self, config: CompileConfig) -> CompileConfig:
        """Fill in how long the axes of the inputs may be."""
        task = build_task(config.model.processing)
        return with_axes(config, task) if isinstance(task, RawTensors) else config

    def with_outputs(self, config: CompileConfig, task: AnyTask, sample: AnySample) -> tuple[CompileConfig, UserModule]:
        """Make the network, run it, and fill in what its outputs are called and whether they count items."""
        from compiler.networks.targets import module_of

        fewest = config.batch.smallest
        counts = (config.fixed_batch,) if config.fixed_batch else (fewest, fewest + 1)
        proof = proof_of(task)
        inputs = [proof.samples(sample, count, config.sizes.usual).tensors for count in counts]

        def run(network: TorchModule) -> list[Outputs]:
            return [self._outputs(network, tensors) for tensors in inputs]

        user_code, found = observe(
            [module_of(self.target)], self.build, run, self._where, has_weights=config.checkpoint is None
        )
        names = _names(found, set(task.inputs))
        counted = all(
            tensor.shape[:1] == (count,) for run, count in zip(found, counts, strict=True) for _, tensor in run
        )
        described = with_processing(config, outputs=names, counted=counted)
        return described, replace(self, user_code=user_code)

    def load(self, weights: Weights, folder: Path) -> str:
        """Write the weights: the checkpoint's, which has to fit the user's own network, or those that it came with."""
        network = self.build()
        module = network.get_submodule(MODULE)

        def fill(tensors: dict[str, Tensor], path: Path) -> list[str]:
            explain = partial(self._other_count, shapes_of(module), str(path))
            return match(module, tensors, source=str(path), explain=explain)

        return save_weights(network, weights, fill, folder, own=self.own_weights)

    def network(self, folder: Path, rewriting: Rewriting, task: AnyTask) -> TorchNetwork:
        """The network in torch."""
        return TorchNetwork(self.build, folder, rewriting, inner=MODULE)

    def _other_count(self, own: Shapes, source: str, found: Shapes) -> UsageError | None:
        """What is said of a checkpoint that fits the target with another `num_classes`."""
        count = self.arguments.get(NUM_CLASSES) or _first_difference(own, found)
        if not isinstance(count, int) or self._shapes_with(count) != own:
            return None
        trained = trained_count(found, self._shapes_with, count)
        if trained is None:
            return None
        return UsageError(
            f"the checkpoint was trained for {trained} classes, and the network has {count}",
            where=source,
            why="nothing else differs",
            fix=f"add model.kwargs.{NUM_CLASSES}={trained}",
        )

    def _shapes_with(self, count: int) -> Shapes | None:
        import torch

        other = replace(self, arguments={**self.arguments, NUM_CLASSES: count}, user_code=None)
        try:
            with torch.device("meta"):
                return shapes_of(other.build().get_submodule(MODULE))
        except Exception:  # whatever the user's own code raises: it takes no such number, or cannot be built so
            return None

    @property
    def _where(self) -> str:
        return f"model.target={self.target}"

    def _outputs(self, network: TorchModule, tensors: Tensors) -> Outputs:
        import torch

        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
        try:
            with torch.no_grad():
                return network.named_outputs(*(torch.from_numpy(tensor) for tensor in tensors.values()))
        except CompileError:
            raise
        except Exception as error:  # whatever the user's forward raises
            raise CompileError(
                "the network fails on its inputs",
                where=self._where,
                why=f"{type(error).__name__}: {first_line(error)}, given {shapes}",
                fix="correct model.inputs; or where it takes no batch of another size, use shape=static",
            ) from error


def _first_difference(own: Shapes, found: Shapes) -> int:
    """The first length of a network's weights that a checkpoint has otherwise."""
    pairs = (sides for key, shape in own.items() for sides in zip(shape, found.get(key, shape), strict=False))
    return next((mine for mine, theirs in pairs if mine != theirs), 0)


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
    for name in names:
        if names.count(name) > 1:
            raise CompileError(f"two outputs are called {name}", where=f"output {name}", fix="give them other keys")
    return names
