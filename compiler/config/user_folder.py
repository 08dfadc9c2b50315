"""The user's config folder, as Hydra reads it: its files may come from anybody."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf

from compiler.config.yaml_files import check_yaml, parsing


class UserFolder(ConfigSource):
    """A folder of YAML files, each of which is looked at before it is built: see `check_yaml`."""

    SCHEME = "deploy-compiler-folder"

    @classmethod
    def scheme(cls) -> str:
        """What stands before the folder's path."""
        return cls.SCHEME

    @classmethod
    def of(cls, folder: Path) -> str:
        """A folder as an entry of Hydra's search path."""
        return f"{cls.SCHEME}://{folder.resolve()}"

    def load_config(self, config_path: str) -> ConfigResult:
        """What is in one file."""
        file = self.path_of(config_path)
        if not file.exists():
            raise ConfigLoadError(f"Config not found : {file}")
        with parsing(file):
            text = self.text(config_path)
            config = OmegaConf.load(StringIO(text))
        return ConfigResult(
            config=config,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=ConfigSource._get_header_dict(text[:512]),
        )

    def text(self, config_path: str) -> str:
        """The text of one file, which stands for no more than it may; see `check_yaml` for what it raises."""
        return check_yaml(self.path_of(config_path))

    def available(self) -> bool:
        """Whether the folder is there."""
        return self.is_group("")

    def is_group(self, config_path: str) -> bool:
        """Whether there is a folder of that name in it."""
        return (Path(self.path) / config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        """Whether there is a file of that name in it."""
        return self.path_of(config_path).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """The names of the groups and files in one of its folders."""
        found: list[str] = []
        for entry in (Path(self.path) / config_path).iterdir():
            path = f"{config_path}/{entry.name}" if config_path else entry.name
            self._list_add_result(found, path, entry.name, results_filter)
        return sorted(set(found))

    def path_of(self, config_path: str) -> Path:
        """Where a file of that name would lie."""
        return Path(self.path) / self._normalize_file_name(config_path)
