"""A config of files of plain data, composed as plain data.

Hydra parses the overrides and chooses the files. It would go on and wrap every value of every file in a node of
OmegaConf's, copy and merge these several times, and do the same to its own settings, which no compile reads. What is
not plain, and what is wrong, is left to Hydra: what comes out is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode

from compiler.config.consistency import MISSING, value_at
from compiler.config.plain_folder import HYDRA, NoSettings, PlainFolder
from compiler.config.plain_values import NotPlainError, merged, with_setting

if TYPE_CHECKING:
    from hydra.core.default_element import ResultDefault

_PATH = re.compile(r"\w+(\.\w+)*", re.ASCII)


def composed_plainly(loader: ConfigLoader, config_name: str, overrides: Sequence[str]) -> dict[Any, Any]:
    """The values of a config, its references as they are written, and without Hydra's own settings.

    Args:
        loader: One that only chooses files.
        config_name: The file at the top.
        overrides: In Hydra's grammar.

    Raises:
        NotPlainError: A file is not plain, or an override does more than to choose a file or to set a value.
        Exception: Whatever Hydra raises over what is wrong.
    """
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    if any(one.is_sweep_override() or one.key_or_group.startswith(HYDRA) for one in parsed):
        raise NotPlainError("a sweep, or an override of Hydra's settings")
    chosen = loader.compute_defaults_list(config_name, list(overrides), RunMode.RUN)
    values: dict[Any, Any] = reduce(merged, (_placed(one, loader) for one in chosen.defaults), {})
    return reduce(_with_override, chosen.config_overrides, values)


def _placed(default: ResultDefault, loader: ConfigLoader) -> Mapping[Any, Any]:
    """What a chosen file holds, at its place in the config."""
    path, sources = str(default.config_path), loader.get_sources()
    source = next(source for source in sources if source.is_config(path))
    if path == NoSettings.CONFIG:
        return {}
    if not isinstance(source, PlainFolder) or sources[-1].is_config(path):
        raise NotPlainError("what is in no file, or one that a schema of the application's belongs to")
    file = source.file(path)
    values = _without_settings(file.values, primary=default.primary)
    package = file.header["package"] if default.package is None else default.package
    if not package:
        return values
    if not _PATH.fullmatch(package) or package.startswith(HYDRA):
        raise NotPlainError("a place with brackets, or among Hydra's settings")
    for key in reversed(package.split(".")):
        values = {key: values}
    return values


def _without_settings(values: Mapping[Any, Any], *, primary: bool) -> Mapping[Any, Any]:
    """The values of a file without Hydra's settings, which the one at the top may have."""
    if HYDRA not in values:
        return values
    if not primary or "searchpath" in (values[HYDRA] or ()):
        raise NotPlainError("settings of Hydra's")
    return {key: value for key, value in values.items() if key != HYDRA}


def _with_override(values: Mapping[Any, Any], override: Override) -> dict[Any, Any]:
    key, adds = override.key_or_group, override.is_add() or override.is_force_add()
    if override.is_delete() or override.package is not None or not _PATH.fullmatch(key):
        raise NotPlainError("a key that is deleted, or no path")
    if override.is_add() and value_at(values, key) is not MISSING:
        raise NotPlainError("a key that is there, and is added")
    return with_setting(values, key, override.value(), new=adds)
