"""One clear message where Hydra, OmegaConf and YAML have several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from compiler.config.mmdeploy.names import backend_not_here, known_backend
from compiler.config.search import CONFIG_NAME
from compiler.errors import CompileError, UsageError, nearest

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


@contextmanager
def composing(loader: ConfigLoader) -> Iterator[None]:
    """Turn whatever Hydra, OmegaConf and YAML raise over config files and overrides into one message.

    Raises:
        UsageError: Something was raised.
    """
    try:
        yield
    except CompileError:
        raise
    except Exception as error:  # besides their own, they let those of Python through: for model=null, for "+="
        raise explain(error, loader) from error


def explain(error: Exception, loader: ConfigLoader) -> UsageError:
    """Turn an exception of Hydra's composition into one message."""
    text = str(error)
    group = re.search(r"Could not find '(\w+)/([^']+)'", text)
    if group is not None:
        kind, name = group.groups()
        if kind == "backend" and known_backend(name):
            return backend_not_here(name, loader.get_group_options(kind), where=f"{kind}={name}")
        return UsageError(
            f"there is no {kind} '{name}'", where=f"{kind}={name}", fix=nearest(name, loader.get_group_options(kind))
        )
    cause = error.__cause__
    if "Could not override" in text:
        key = text.split("'")[1]
        return _unknown_key(key, loader)
    if cause is not None and type(cause).__module__.startswith("omegaconf"):
        return explain_omegaconf(cause)
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


def explain_omegaconf(error: BaseException) -> UsageError:
    """Turn an exception of OmegaConf's resolution into one message."""
    key = str(getattr(error, "full_key", None) or "")
    if isinstance(error, RecursionError):
        return UsageError("values of the config refer to each other in a ring", fix="give one of them a value")
    why = str(error).strip().splitlines()[0]
    fix = "give it a value of its own; a text that holds ${ is written with \\${"
    return UsageError(f"the value of '{key}' cannot be used", where=key, why=why, fix=fix)


def _unknown_key(key: str, loader: ConfigLoader) -> UsageError:
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    node = loader.load_configuration(CONFIG_NAME, [], run_mode=RunMode.RUN)
    known = cast("dict[str, Any]", OmegaConf.to_container(node))
    del known["hydra"]
    return UsageError(f"there is no key '{key}'", where=key, fix=nearest(key, _siblings(known, key)))


def _siblings(node: object, key: str, prefix: str = "") -> list[str]:
    """The keys that there are where the first part of a dotted key is unknown."""
    first, _, rest = key.partition(".")
    if isinstance(node, dict) and rest and isinstance(node.get(first), dict):
        return _siblings(node[first], rest, f"{prefix}{first}.")
    return [f"{prefix}{name}" for name in node] if isinstance(node, dict) else []
