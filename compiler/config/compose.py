"""Compose a config from overrides, as Hydra does it, then apply the schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.config.instantiate import instantiate
from compiler.config.messages import explain, explain_omegaconf
from compiler.config.moved import with_present_keys
from compiler.config.overrides import expand
from compiler.config.schema import CompileConfig
from compiler.config.search import config_loader
from compiler.errors import UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def compose(
    overrides: Sequence[str] = (), config_dir: Path | None = None, own_model: Path | None = None
) -> CompileConfig:
    """Compose and check a config.

    Args:
        overrides: In Hydra's grammar; `deploy=<name>` and `box=x1,y1,x2,y2` are understood too.
        config_dir: A config folder of the user's, searched after our own.
        own_model: A folder that holds a translated model, searched before ours.

    Raises:
        UsageError: An unknown choice or key, a wrong type, or an impossible combination.
    """
    return to_config(compose_node(overrides, config_dir, own_model))


def compose_node(
    overrides: Sequence[str] = (), config_dir: Path | None = None, own_model: Path | None = None
) -> DictConfig:
    """Compose the config as Hydra gives it, before the schema is applied."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import open_dict
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    loader = config_loader(config_dir, own_model)
    try:
        expanded = expand(overrides, loader.get_group_options("backend"), config_dir)
        OverridesParser.create().parse_overrides(expanded)
        node = loader.load_configuration("compile", expanded, run_mode=RunMode.RUN)
    # Hydra raises a ValueError for model=null, and an AssertionError for "+=".
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, AssertionError) as error:
        raise explain(error, loader) from error
    with open_dict(node):
        del node["hydra"]
    return node


def to_config(node: DictConfig) -> CompileConfig:
    """Apply the schema to a composed node, and check what the types cannot.

    Raises:
        UsageError: An unknown key, a wrong type, a missing value or an impossible combination.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        values = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise explain_omegaconf(error) from error
    config = instantiate(with_present_keys(values), CompileConfig)
    for key, kind in (("_target_", str), ("name", str), ("precisions", list)):
        if not isinstance(config.backend.get(key), kind):
            article = "a list" if kind is list else "a text"
            raise UsageError(f"'backend.{key}' must be {article}", where=f"backend.{key}", fix="see conf/backend/")
    config.check()
    # However a shape is spelt, the config is the same.
    return replace(config, shape=str(config.resolved_shape))
