"""Compose a config from overrides, as Hydra does it, then apply the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.config.class_names import with_names
from compiler.config.deploy_overrides import check_named, named_run
from compiler.config.instantiate import instantiate
from compiler.config.messages import composing, explain_omegaconf
from compiler.config.moved import present_config, with_present_keys
from compiler.config.overrides import expand
from compiler.config.plain_names import with_own_name
from compiler.config.schema import CompileConfig
from compiler.config.search import CONFIG_NAME, config_loader
from compiler.config.variant import in_name, override_key, variant
from compiler.errors import UsageError

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from compiler.config.backend_facts import BackendFacts


def compose(
    overrides: Sequence[str] = (),
    config_dir: Path | None = None,
    model_folder: Path | None = None,
    distinguishing: Sequence[str] = (),
) -> CompileConfig:
    """Compose and check a config.

    Args:
        overrides: In Hydra's grammar; `deploy=<name>` and `box=x1,y1,x2,y2` are understood too.
        config_dir: A config folder of the user's, searched after our own.
        model_folder: A folder that holds a translated model, searched before ours.
        distinguishing: Overrides that give the run a name of its own although others of their kind do not.

    Raises:
        UsageError: An unknown choice or key, a wrong type, or an impossible combination.
    """
    named_by = named_run(overrides, config_dir)
    overrides = named_by.spelt_out(overrides) if named_by else overrides
    asked = named_by is not None or "precision" in map(override_key, overrides)
    config = replace(to_config(compose_values(overrides, config_dir, model_folder)), precision_asked=asked)
    if named_by:
        check_named(config, named_by)
    known = in_name(overrides)
    if len(known) == len(overrides) and not distinguishing:
        return config
    try:
        named = to_config(compose_values(known, config_dir, model_folder), check=False)
    except UsageError:  # a config of the user's leaves something to the command line: the name alone composes nothing
        named, distinguishing = config, [*distinguishing, *(one for one in overrides if one not in known)]
    return replace(config, variant=variant(config, named, distinguishing))


def compose_values(
    overrides: Sequence[str] = (), config_dir: Path | None = None, model_folder: Path | None = None
) -> dict[str, Any]:
    """The values of a config, with the backend's own tail where none is chosen, before the schema.

    Raises:
        UsageError: An unknown choice or key, or a value that is missing or refers to nothing.
    """
    from compiler.config.plain_composition import composed_plainly
    from compiler.config.plain_values import resolved, resolved_group

    loader = config_loader(config_dir, model_folder, plain=True)
    expanded = expand(overrides, config_dir)
    with suppress(Exception):  # what is not plain, Hydra composes; of what is wrong, it says what
        values = composed_plainly(loader, CONFIG_NAME, expanded)
        if values["tail"] is None:
            values["tail"] = _facts(resolved_group(values, "backend")).TAIL
        return resolved(values)
    composed: dict[str, Any] = _container(compose_node(overrides, config_dir, model_folder))
    return composed


def compose_node(
    overrides: Sequence[str] = (), config_dir: Path | None = None, model_folder: Path | None = None
) -> DictConfig:
    """Compose the config as Hydra gives it, with the backend's own tail where none is chosen, before the schema.

    Raises:
        UsageError: An unknown choice or key, or a value that refers to nothing.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode
    from omegaconf import OmegaConf, open_dict

    loader = config_loader(config_dir, model_folder)
    expanded = expand(overrides, config_dir)
    with composing(loader):
        OverridesParser.create().parse_overrides(expanded)
        node = loader.load_configuration(CONFIG_NAME, expanded, run_mode=RunMode.RUN)
    with open_dict(node):
        del node["hydra"]
        if node.get("tail") is None and OmegaConf.is_dict(node.get("backend")):
            node["tail"] = _facts(_container(node.backend)).TAIL
    return node


def to_config(values: Mapping[str, Any], *, check: bool = True) -> CompileConfig:
    """Apply the schema to composed values, and check what the types cannot unless it is only looked at.

    Raises:
        UsageError: An unknown key, a wrong type, a missing value or an impossible combination.
    """
    config = instantiate(with_names(with_own_name(with_present_keys(values))), CompileConfig)
    _facts(config.backend)
    config = present_config(config)
    if check:
        config.check()
    # However a shape is spelt, the config is the same.
    return replace(config, shape=str(config.resolved_shape))


def _container(node: DictConfig) -> Any:
    """The values of a node, every reference resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise explain_omegaconf(error) from error


def _facts(backend: Any) -> type[BackendFacts]:
    """What the class of a composed backend knows about itself.

    Raises:
        UsageError: The backend has no name, or no class.
    """
    from compiler.config.backend_facts import backend_facts

    for key in ("_target_", "name"):
        if not isinstance(backend.get(key), str):
            raise UsageError(f"'backend.{key}' must be a text", where=f"backend.{key}", fix="see conf/backend/")
    return backend_facts(backend)
