"""A network that a model's config describes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.checkpoint import match, without_training
from compiler.config.schema import ModelConfig
from compiler.networks.catalogue import models_that_fit
from compiler.networks.drawn import fill_with_drawn_weights
from compiler.sources import Origin
from compiler.sources.torch_network import TorchNetwork, load_weights, made

if TYPE_CHECKING:
    from torch import Tensor

    from compiler.pipeline.job import Job
    from rewriters import Selection


@dataclass(frozen=True)
class Models(Origin):
    """The models in `conf/model/`, and those of the user's that are made of the same parts.

    Attributes:
        model: Describes the network.
    """

    model: ModelConfig

    @property
    def caution(self) -> str:
        """See `Origin`."""
        published = ", or checkpoint=official to download the published one" if self.model.official.url else ""
        return (
            "no checkpoint is given: the weights are drawn, so the predictions mean NOTHING; shapes, speed and the "
            f"proof do. Give checkpoint=<path>{published}"
        )

    def load(self, job: Job, folder: Path) -> str:
        """Write the weights: the checkpoint's, checked against the network, or drawn ones."""
        config = job.config
        network = made(config.model)

        def fill(weights: dict[str, Tensor]) -> list[str]:
            candidates = partial(models_that_fit, without_training(weights))
            return match(network, weights, source=str(job.checkpoint), candidates=candidates)

        if job.checkpoint is None:
            fill_with_drawn_weights(network, config.model.processing, config.sizes.usual)
        return load_weights(job, folder, network, fill)

    def network(self, job: Job, selection: Selection, folder: Path) -> TorchNetwork:
        """Return the network in torch."""
        return TorchNetwork(job, selection, folder)
