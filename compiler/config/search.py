"""Where configs are found: ours, and after them a folder of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compiler.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader


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
