"""Config folders as Hydra reads them to choose files: of each it takes the list of defaults, and no value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from io import StringIO
from typing import Any

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource
from omegaconf import OmegaConf

from compiler.config.omegaconf_yaml import load_omegaconf_yaml
from compiler.config.plain_values import NotPlainError
from compiler.config.user_folder import UserFolder

HYDRA = "hydra"
"""The group of Hydra's own settings."""
DEFAULTS = "defaults"
_HEADER = 512
"""Characters in which Hydra looks for what a file says about itself."""
_FILES_KEPT = 256


@dataclass(frozen=True)
class PlainFile:
    """A file of plain data. Whoever gets it shares it, and changes nothing of it.

    Attributes:
        values: What it holds beside its list of defaults.
        defaults: That list.
        header: What its comments say to Hydra.
    """

    values: Mapping[Any, Any]
    defaults: list[Any]
    header: Mapping[str, str | None]


class PlainFolder(UserFolder):
    """A folder of ours, or of a translated model, as it is while one config is composed."""

    SCHEME = "deploy-compiler-plain"
    C_PARSER = True
    """Whether files are parsed by libyaml: people write in every way that there is, and we do not."""

    def __init__(self, provider: str, path: str) -> None:
        super().__init__(provider, path)
        self._files: dict[str, PlainFile] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> PlainFolder:
        """Itself: Hydra chooses files by a copy, and what was chosen is what is used."""
        return self

    def file(self, config_path: str) -> PlainFile:
        """One file: read once, and parsed once for each content that it ever has.

        Raises:
            NotPlainError: It is none of plain data.
        """
        if config_path not in self._files:
            self._files[config_path] = _parsed(self.text(config_path), fast=self.C_PARSER)
        return self._files[config_path]

    def text(self, config_path: str) -> str:
        """Its text."""
        return self.path_of(config_path).read_text("utf-8")

    def load_config(self, config_path: str) -> ConfigResult:
        """What Hydra chooses files by: the defaults of one, and whether it has a key beside them."""
        file = self.file(config_path)
        defaults = {DEFAULTS: file.defaults} if file.defaults else {}
        config = OmegaConf.create({**dict.fromkeys(list(file.values)[:1]), **defaults})
        return ConfigResult(self.provider, self.full_path(), config, dict(file.header))


class PlainUserFolder(PlainFolder):
    """A folder of somebody else's."""

    SCHEME = "deploy-compiler-plain-user"
    C_PARSER = False

    def text(self, config_path: str) -> str:
        """Its text, which stands for no more than it may."""
        return UserFolder.text(self, config_path)


class NoSettings(ConfigSource):
    """Hydra's own settings, of which a compile reads none."""

    SCHEME = "deploy-compiler-no-settings"
    CONFIG = f"{HYDRA}/config"

    @staticmethod
    def scheme() -> str:
        """What stands before the folder's path."""
        return NoSettings.SCHEME

    def load_config(self, config_path: str) -> ConfigResult:
        """Nothing."""
        return ConfigResult(self.provider, self.full_path(), OmegaConf.create(), {"package": None})

    def available(self) -> bool:
        """It is there."""
        return True

    def is_group(self, config_path: str) -> bool:
        """There is none."""
        return False

    def is_config(self, config_path: str) -> bool:
        """Whether it is the one that Hydra looks for first."""
        return config_path == self.CONFIG

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """None."""
        return []


@lru_cache(_FILES_KEPT)
def _parsed(text: str, *, fast: bool) -> PlainFile:
    node = OmegaConf.create(load_omegaconf_yaml(text) or {}) if fast else OmegaConf.load(StringIO(text))
    values: Any = OmegaConf.to_container(node)
    defaults = values.pop(DEFAULTS, []) if isinstance(values, dict) else None
    if not isinstance(defaults, list):
        raise NotPlainError("no group of keys, or defaults that are no list")
    return PlainFile(values, defaults, ConfigSource._get_header_dict(text[:_HEADER]))
