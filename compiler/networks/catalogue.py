"""The models in `conf/model/`, as networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.checkpoint import match, read_checkpoint, without_training
from compiler.checkpoint.matching import COUNTER
from compiler.config import compose
from compiler.config.composition import compose_values
from compiler.config.options import group_options
from compiler.errors import UsageError
from compiler.networks import build
from compiler.networks.initialization import fill_with_random_weights, sample_inputs
from compiler.networks.trained_counts import refusal_of_count, shapes_of
from compiler.openmmlab.translated_model import MODEL, translated_config

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG_SUFFIXES = (".py", ".json", ".yaml", ".yml")
"""Of OpenMMLab configs."""
OUR_NETWORKS = "compiler.networks."


def build_network(
    model: str | Path,
    config_dir: str | Path | None = None,
    packages: Mapping[str, str] | None = None,
    *,
    checkpoint: str | Path | None = None,
    overrides: Sequence[str] = (),
) -> nn.Module:
    """Build a model's network in evaluation mode, with the weights of a checkpoint or deterministic ones.

    Args:
        model: Its name in `conf/model/`, for example `rtmpose`; or an OpenMMLab config: a `.py`, `.json` or `.yaml`
            file.
        config_dir: A config folder of the user's, searched after our own.
        packages: Of an OpenMMLab config, as `model.packages`: where its bases of other packages lie.
        checkpoint: A file of weights, which have to fit.
        overrides: As on a command line, such as `classes=3`.

    Returns:
        The network; `forward(input)` returns its raw outputs as a flat tuple.

    Raises:
        UsageError: There is no such model, its config is wrong, packages are given for a model of ours, or the
            checkpoint was trained for another number of classes or key points.
        CompileError: The OpenMMLab config cannot be translated, or the checkpoint does not fit.
    """
    folder = Path(config_dir) if config_dir else None
    if Path(model).suffix in CONFIG_SUFFIXES:
        with translated_config(str(model), packages or {}) as model_folder:
            config = compose([f"model={MODEL}", *overrides], folder, model_folder)
    elif packages:
        raise UsageError(
            "the folders of packages are given for a model that needs none",
            where=f"build_network({str(model)!r}, packages=...)",
            fix=f"leave them out, or give an OpenMMLab config: a file that ends in {', '.join(CONFIG_SUFFIXES)}",
        )
    else:
        config = compose([f"model={model}", *overrides], folder)
    network = build(config.model.network)
    if checkpoint is None:
        fill_with_random_weights(network, sample_inputs(config.model.processing, config.sizes.usual))
    else:
        load_weights(network, config.model.network, read_checkpoint(Path(checkpoint)), str(checkpoint))
    return network


def load_weights(network: nn.Module, node: Mapping[str, Any], weights: Mapping[str, Tensor], source: str) -> list[str]:
    """Load weights into the network that a config node describes, and say what was done to them.

    Raises:
        UsageError: They were trained for another number of classes or key points.
        CompileError: They do not fit.
    """
    return match(
        network,
        weights,
        source=source,
        candidates=partial(models_that_fit, without_training(weights)),
        explain=lambda found: refusal_of_count(node, found, source),
    )


def models_that_fit(weights: Mapping[str, Tensor]) -> list[str]:
    """The models whose keys and shapes are those of the weights, without second names and the user's own."""
    shapes = {key: tuple(tensor.shape) for key, tensor in weights.items() if not key.endswith(COUNTER)}
    # Of a config the network counts, and no schema is needed to read it.
    models = {name: compose_values([f"model={name}"])["model"] for name in group_options("model")}
    ours = {name: model["network"] for name, model in models.items() if model["name"] == name and model["network"]}
    # Many a variant differs in its input alone.
    networks = {repr(network): network for network in ours.values() if _may_have(network, shapes)}
    fitting = {text for text, network in networks.items() if _shapes_of(network) == shapes}
    return [name for name, network in ours.items() if repr(network) in fitting]


def _may_have(network: Mapping[str, Any], keys: Iterable[str]) -> bool:
    """Whether a network can have weights of these names. The parts of ours are called as their config calls them."""
    if not str(network["_target_"]).startswith(OUR_NETWORKS):
        return True
    return {key.partition(".")[0] for key in keys} <= network.keys()


def _shapes_of(network: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    import torch

    with torch.device("meta"):
        return shapes_of(build(network))
