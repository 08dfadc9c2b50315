"""A network that a model's config describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.artifact.source_code import any_user_code, code_digest
from compiler.config import CompileConfig
from compiler.config.known_classes import modules_named
from compiler.networks import build
from compiler.networks.catalogue import load_weights
from compiler.networks.initialization import fill_with_random_weights, sample_inputs, seeded
from compiler.sources.samples import Samples
from compiler.sources.source import RandomWeights, Rewriting, Source, Weights
from compiler.sources.torch_network import TorchNetwork, save_weights
from compiler.sources.user_code import UserCode, observe
from compiler.tasks import AnySample, AnyTask

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ModelNetwork(Source):
    """The network of a model in `conf/model/`, or of one of the user's that is made of the same parts.

    Attributes:
        node: Describes it: see `compiler.networks.build`.
        is_published: Whether its authors publish a checkpoint, which says nothing about the network.
        code: The digest of the classes that the node names and that are not ours, with all that they import.
        user_code: What a network with such classes depends on beside that; None where they are installed ones.
    """

    node: Mapping[str, Any]
    is_published: bool = field(compare=False)
    code: str = ""
    user_code: UserCode | None = None

    @property
    def caution(self) -> str:
        """See `Source`."""
        published = ", or checkpoint=official to download the published one" if self.is_published else ""
        return (
            "no checkpoint is given: the weights are random, so the predictions mean NOTHING; shapes, speed and the "
            f"proof do. Give checkpoint=<path>{published}"
        )

    def with_outputs(
        self, config: CompileConfig, task: AnyTask, sample: AnySample
    ) -> tuple[CompileConfig, ModelNetwork]:
        """Make the network where it is made of somebody's own classes, whose files are not all that counts."""
        modules = modules_named(self.node)
        user_code = None
        if any_user_code(modules):
            has_weights = config.checkpoint is None
            user_code, _ = observe(modules, self.build, lambda network: None, self._where, has_weights=has_weights)
        return config, replace(self, code=code_digest(modules), user_code=user_code)

    def random_weights(self, config: CompileConfig) -> RandomWeights:
        """Weights that are scaled to the sample that the task ships with."""
        return RandomWeights(Samples.of(sample_inputs(config.model.processing, config.sizes.usual)))

    def build(self) -> nn.Module:
        """The network, in evaluation mode, without trained weights.

        Raises:
            CompileError: It is made of something else than it was.
        """
        with seeded():
            network = build(self.node)
        if self.user_code is not None:
            self.user_code.check(network, self._where)
        return network

    def load(self, weights: Weights, folder: Path) -> str:
        """Write the weights: the checkpoint's, checked against the network, or random ones."""
        network = self.build()

        def fill(tensors: dict[str, Tensor], path: Path) -> list[str]:
            return load_weights(network, self.node, tensors, str(path))

        if isinstance(weights, RandomWeights):
            fill_with_random_weights(network, weights.scaled_to.tensors)
        return save_weights(network, weights, fill, folder)

    def network(self, folder: Path, rewriting: Rewriting, task: AnyTask) -> TorchNetwork:
        """The network in torch."""
        return TorchNetwork(self.build, folder, rewriting)

    @property
    def _where(self) -> str:
        return f"model.network._target_={self.node.get('_target_')}"
