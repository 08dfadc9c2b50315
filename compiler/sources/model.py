"""A network that a model's config describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.checkpoint import match, without_training
from compiler.config import CompileConfig
from compiler.networks import build
from compiler.networks.catalogue import models_that_fit
from compiler.networks.initialization import fill_with_random_weights, sample_inputs
from compiler.sources.samples import Samples
from compiler.sources.source import RandomWeights, Rewriting, Source, Weights
from compiler.sources.torch_network import TorchNetwork, save_weights
from compiler.tasks import AnyTask

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class ModelNetwork(Source):
    """The network of a model in `conf/model/`, or of one of the user's that is made of the same parts.

    Attributes:
        node: Describes it: see `compiler.networks.build`.
        is_published: Whether its authors publish a checkpoint, which says nothing about the network.
    """

    node: Mapping[str, Any]
    is_published: bool = field(compare=False)

    @property
    def caution(self) -> str:
        """See `Source`."""
        published = ", or checkpoint=official to download the published one" if self.is_published else ""
        return (
            "no checkpoint is given: the weights are random, so the predictions mean NOTHING; shapes, speed and the "
            f"proof do. Give checkpoint=<path>{published}"
        )

    def random_weights(self, config: CompileConfig) -> RandomWeights:
        """Weights that are scaled to the sample that the task ships with."""
        return RandomWeights(Samples.of(sample_inputs(config.model.processing, config.sizes.usual)))

    def build(self) -> nn.Module:
        """The network, in evaluation mode, without trained weights."""
        return build(self.node)

    def load(self, weights: Weights, folder: Path) -> str:
        """Write the weights: the checkpoint's, checked against the network, or random ones."""
        network = self.build()

        def fill(tensors: dict[str, Tensor], path: Path) -> list[str]:
            candidates = partial(models_that_fit, without_training(tensors))
            return match(network, tensors, source=str(path), candidates=candidates)

        if isinstance(weights, RandomWeights):
            fill_with_random_weights(network, weights.scaled_to.tensors)
        return save_weights(network, weights, fill, folder)

    def network(self, folder: Path, rewriting: Rewriting, task: AnyTask) -> TorchNetwork:
        """The network in torch."""
        return TorchNetwork(self.build, folder, rewriting)
