"""The models in `conf/model/`, as networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config import compose
from compiler.config.search import config_loader
from compiler.errors import UsageError
from compiler.networks import build
from compiler.networks.initialization import fill_with_random_weights, sample_inputs
from compiler.openmmlab.translated_model import MODEL, translated_config

if TYPE_CHECKING:
    from torch import Tensor, nn

CONFIG_SUFFIXES = (".py", ".json", ".yaml", ".yml")
"""Of OpenMMLab configs."""


def build_network(
    model: str | Path, config_dir: str | Path | None = None, packages: Mapping[str, str] | None = None
) -> nn.Module:
    """Build a model's network in evaluation mode, with deterministic weights.

    Args:
        model: Its name in `conf/model/`, for example `rtmpose`; or an OpenMMLab config: a `.py`, `.json` or `.yaml`
            file.
        config_dir: A config folder of the user's, searched after our own.
        packages: Of an OpenMMLab config, as `model.packages`: where its bases of other packages lie.

    Returns:
        The network; `forward(input)` returns its raw outputs as a flat tuple. Load a checkpoint's weights with
        `network.load_state_dict(state_dict, strict=True)`.

    Raises:
        UsageError: There is no such model, its config is wrong, or packages are given for a model of ours.
        CompileError: The OpenMMLab config cannot be translated.
    """
    folder = Path(config_dir) if config_dir else None
    if Path(model).suffix in CONFIG_SUFFIXES:
        with translated_config(str(model), packages or {}) as model_folder:
            config = compose([f"model={MODEL}"], folder, model_folder)
    elif packages:
        raise UsageError(
            "the folders of packages are given for a model that needs none",
            where=f"build_network({str(model)!r}, packages=...)",
            fix=f"leave them out, or give an OpenMMLab config: a file that ends in {', '.join(CONFIG_SUFFIXES)}",
        )
    else:
        config = compose([f"model={model}"], folder)
    network = build(config.model.network)
    fill_with_random_weights(network, sample_inputs(config.model.processing, config.sizes.usual))
    return network


def models_that_fit(weights: Mapping[str, Tensor]) -> list[str]:
    """The models whose keys and shapes are those of the weights, without second names and the user's own."""
    shapes = {key: tuple(tensor.shape) for key, tensor in weights.items() if not _is_counter(key)}
    models = {name: compose([f"model={name}"]).model for name in config_loader().get_group_options("model")}
    ours = {name: model for name, model in models.items() if model.name == name and model.network}
    return [name for name, model in ours.items() if _shapes_of(model.network) == shapes]


def _shapes_of(network: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    import torch

    with torch.device("meta"):
        state = build(network).state_dict()
    return {key: tuple(tensor.shape) for key, tensor in state.items() if not _is_counter(key)}


def _is_counter(key: str) -> bool:
    """Tell batch counters, which only training reads and some checkpoints leave out."""
    return key.endswith("num_batches_tracked")
