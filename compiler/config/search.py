"""Where configs are found: ours, and after them a folder of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compiler.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader
    from hydra.core.config_search_path import ConfigSearchPath


def config_folder() -> Path:
    """Return the folder of the configs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def config_loader(config_dir: Path | None = None, own_model: Path | None = None) -> ConfigLoader:
    """Return Hydra's loader over what `config_search_path` finds."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl

    return ConfigLoaderImpl(config_search_path=config_search_path(config_dir, own_model))


def config_search_path(config_dir: Path | None = None, own_model: Path | None = None) -> ConfigSearchPath:
    """Return where Hydra looks for configs.

    Args:
        config_dir: A folder of the user's, searched after ours.
        own_model: A folder that holds a translated model, searched before ours.

    Raises:
        UsageError: The user's folder does not exist.
    """
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
    if own_model is not None:
        search_path.prepend("own-model", f"file://{own_model}")
    return search_path
