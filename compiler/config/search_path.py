"""Where Hydra looks for configs beside ours, told through its plugin interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from compiler.config.config_dir import require_config_dir, require_names_of_its_own
from compiler.config.plug_ins import plug_in_folders
from compiler.config.user_folder import UserFolder

USERS_FOLDER = "command-line"
"""What Hydra calls the folder of the user's among those that it searches."""

# Hydra makes plugins itself and without arguments: what one is to say has to wait for it somewhere.
_FOLDERS: ContextVar[tuple[Path | None, Path | None]] = ContextVar("folders", default=(None, None))


class Folders(SearchPathPlugin):
    """A translated model before our configs, a folder of the user's after them, and after it those of plug-ins."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folders of `searched`."""
        config_dir, model_folder = _FOLDERS.get()
        if config_dir is not None:
            search_path.append(USERS_FOLDER, UserFolder.of(config_dir))
        for distribution, folder in plug_in_folders().items():
            require_names_of_its_own(folder, f"the plug-in {distribution}")
            search_path.append(distribution, UserFolder.of(folder))
        if model_folder is not None:
            search_path.prepend("translated-model", f"file://{model_folder}", "main")


@contextmanager
def searched(config_dir: Path | None, model_folder: Path | None) -> Iterator[None]:
    """Let what Hydra composes within this block come from these folders too.

    Args:
        config_dir: A folder of the user's, searched after ours.
        model_folder: A folder that holds a translated model, searched before ours.

    Raises:
        UsageError: The user's folder does not exist.
    """
    if config_dir is not None:
        require_config_dir(config_dir)
    for plugin in (Folders, UserFolder):
        Plugins.instance().register(plugin)
    token = _FOLDERS.set((config_dir, model_folder))
    try:
        yield
    finally:
        _FOLDERS.reset(token)
