"""Compose a config from overrides, as Hydra does it, with one clear message where Hydra and OmegaConf have several."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from compiler.config.deploy_name import DeployName
from compiler.config.instantiate import instantiate
from compiler.config.schema import CompileConfig
from compiler.errors import UsageError, nearest

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from omegaconf import DictConfig

GROUPS = ("model", "backend")
"""Config groups whose choice may be written with or without Hydra's `+`."""

_BOX = re.compile(r"box=(-?[\d.]+(?:,-?[\d.]+){3})")


def config_folder() -> Path:
    """Return the folder of the configs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def config_loader(config_dir: Path | None = None) -> ConfigLoader:
    """Return Hydra's loader over our configs and, after them, the user's own folder.

    Raises:
        UsageError: The user's folder does not exist.
    """
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.utils import create_config_search_path

    search_path = create_config_search_path(str(config_folder()))
    if config_dir is not None:
        if not config_dir.is_dir():
            raise UsageError(
                f"the config folder {config_dir} does not exist",
                where="--config-dir",
                fix="name a folder that holds model/ or backend/ files",
            )
        search_path.prepend("command-line", f"file://{config_dir.resolve()}", "schema")  # after ours: schema is last
    return ConfigLoaderImpl(config_search_path=search_path)


def compose(overrides: Sequence[str] = (), config_dir: Path | None = None) -> CompileConfig:
    """Compose and check a config.

    Args:
        overrides: In Hydra's grammar; `deploy=<name>` and `box=x1,y1,x2,y2` are understood too.
        config_dir: A config folder of the user's, searched after our own.

    Raises:
        UsageError: An unknown choice or key, a wrong type, or an impossible combination.
    """
    return to_config(compose_node(overrides, config_dir))


def compose_node(overrides: Sequence[str] = (), config_dir: Path | None = None) -> DictConfig:
    """Compose the config as Hydra gives it, before the schema is applied."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import open_dict
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    loader = config_loader(config_dir)
    try:
        expanded = expand(overrides, loader.get_group_options("backend"), config_dir)
        OverridesParser.create().parse_overrides(expanded)
        node = loader.load_configuration("compile", expanded, run_mode=RunMode.RUN)
    # Hydra raises a ValueError for model=null, and an AssertionError for "+=".
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, AssertionError) as error:
        raise _explain(error, loader) from error
    with open_dict(node):
        del node["hydra"]
    return node


def expand(overrides: Sequence[str], backends: Sequence[str], config_dir: Path | None = None) -> list[str]:
    """Rewrite the spellings that are ours into Hydra's: `+model=`, `deploy=<name>`, `box=x1,y1,x2,y2`."""
    plain = [_without_plus(override) for override in overrides]
    names = [override.partition("=")[2] for override in plain if override.startswith("deploy=")]
    if len(names) > 1:
        raise UsageError("two deploy names are given", where="deploy", why=" and ".join(names), fix="give one")
    rest = [_quoted_box(override) for override in plain if not override.startswith("deploy=")]
    if not names:
        return rest
    given = {override.partition("=")[0] for override in rest}
    implied = _choices_of(DeployName.parse(names[0], backends), config_dir)
    return [f"{key}={value}" for key, value in implied.items() if key not in given] + rest


def _choices_of(name: DeployName, config_dir: Path | None) -> dict[str, str]:
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    table = OmegaConf.load(config_folder() / "deploy_names.yaml")
    if name.task not in table.tasks and name.algo is None:
        raise UsageError(
            f"the deploy name has no algorithm, and no model stands for the task '{name.task}'",
            where=f"deploy={name}",
            fix=nearest(name.task, table.tasks),
        )
    model = table.tasks[name.task] if name.algo is None else table.algos.get(name.algo, name.algo)
    loader = config_loader(config_dir)
    models = loader.get_group_options("model")
    if model not in models:
        raise UsageError(
            f"the deploy name's '{name.algo}' is neither an algorithm nor a model",
            where=f"deploy={name}",
            fix=nearest(str(name.algo), [*table.algos, *models]),
        )
    node = loader.load_configuration("compile", [f"model={model}"], run_mode=RunMode.RUN).model
    task = str(node.get("task", name.task))
    if task != name.task:
        raise UsageError(
            f"the model '{model}' is not one for the task '{name.task}'",
            where=f"deploy={name}",
            why=f"its task is {task}",
            fix=f"use deploy={replace(name, task=task)}",
        )
    return {"model": model, "backend": name.backend, "precision": name.precision, "shape": str(name.shape)}


def split_sweep(overrides: Sequence[str], config_dir: Path | None = None) -> list[list[str]]:
    """Return the overrides of every job of a sweep: each combination of the comma-separated choices.

    Raises:
        UsageError: An override cannot be parsed, or asks for a sweep that is not a list of choices.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    loader = config_loader(config_dir)
    plain = [_quoted_box(_without_plus(override)) for override in overrides]
    try:
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(plain)
        return BasicSweeper.split_arguments(parsed, max_batch_size=None)[0]
    except HydraException as error:
        raise _explain(error, loader) from error


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
        raise _explain_omegaconf(error) from error
    config = instantiate(cast("dict[str, Any]", values), CompileConfig)
    for key in ("_target_", "name", "precisions"):
        if key not in config.backend:
            raise UsageError(f"the backend config has no '{key}'", where="backend", fix="see conf/backend/")
    config.check()
    # However a shape is spelt, the config is the same.
    return replace(config, shape=str(config.resolved_shape))


def _without_plus(override: str) -> str:
    key = override.lstrip("+").partition("=")[0]
    return override.lstrip("+") if key in (*GROUPS, "deploy") else override


def _quoted_box(override: str) -> str:
    match = _BOX.fullmatch(override.lstrip("+"))
    return f"box=[{match[1]}]" if match else override


def _explain(error: Exception, loader: ConfigLoader) -> UsageError:
    """Turn an exception of Hydra's composition into one message."""
    from yaml import MarkedYAMLError

    text = str(error)
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return UsageError(
            "a config file is not valid YAML", where=f"{mark.name}, line {mark.line + 1}", why=error.problem or text
        )
    group = re.search(r"Could not find '(\w+)/([^']+)'", text)
    if group is not None:
        kind, name = group.groups()
        return UsageError(
            f"there is no {kind} '{name}'", where=f"{kind}={name}", fix=nearest(name, loader.get_group_options(kind))
        )
    cause = error.__cause__
    if "Could not override" in text:
        key = text.split("'")[1]
        return _unknown_key(key, loader)
    if cause is not None and type(cause).__module__.startswith("omegaconf"):
        return _explain_omegaconf(cause)
    if "Ambiguous value" in text:
        override = text.split("'")[1]
        return UsageError(
            f"'{override}' holds several choices",
            where=override,
            why="a comma makes a sweep, and this is a single run",
            fix="add -m to compile each of them, or quote the value: 'key=\"a,b\"'",
        )
    return UsageError(
        text.strip().splitlines()[0] if text.strip() else type(error).__name__,
        where="overrides",
        fix="an override is key=value; see python -m compiler --help",
    )


def _explain_omegaconf(error: BaseException) -> UsageError:
    key = str(getattr(error, "full_key", None) or "")
    why = str(error).strip().splitlines()[0]
    return UsageError(f"the value of '{key}' cannot be used", where=key, why=why, fix="give it a value of its own")


def _unknown_key(key: str, loader: ConfigLoader) -> UsageError:
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    node = loader.load_configuration("compile", [], run_mode=RunMode.RUN)
    known = cast("dict[str, Any]", OmegaConf.to_container(node))
    del known["hydra"]
    close = difflib.get_close_matches(key, _keys(known))
    return UsageError(f"there is no key '{key}'", where=key, fix=nearest(key, close or known))


def _keys(node: object, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    return [path for key, value in node.items() for path in (prefix + str(key), *_keys(value, f"{prefix}{key}."))]
