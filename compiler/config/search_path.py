"""Where Hydra looks for configs beside ours, told through its plugin interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from compiler.config.config_dir import require_config_dir, require_names_of_its_own
from compiler.config.plain_folder import NoSettings, PlainFolder, PlainUserFolder
from compiler.config.plug_ins import plug_in_folders
from compiler.config.user_folder import UserFolder

USERS_FOLDER = "command-line"
"""What Hydra calls the folder of the user's among those that it searches."""


@dataclass(frozen=True)
class Searched:
    """What is searched beside our own configs.

    Attributes:
        config_dir: A folder of the user's, searched after ours.
        model_folder: A folder that holds a translated model, searched before ours.
        plain: Whether Hydra is to choose files alone, and reads neither their values nor its own settings.
    """

    config_dir: Path | None = None
    model_folder: Path | None = None
    plain: bool = False


# Hydra makes plugins itself and without arguments: what one is to say has to wait for it somewhere.
_SEARCHED: ContextVar[Searched] = ContextVar("searched", default=Searched())  # noqa: B039 - it is frozen


class Folders(SearchPathPlugin):
    """A translated model before our configs, a folder of the user's after them, and after it those of plug-ins."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add the folders of `searched`."""
        asked = _SEARCHED.get()
        theirs, ours = (PlainUserFolder.of, PlainFolder.of) if asked.plain else (UserFolder.of, "file://{}".format)
        if asked.config_dir is not None:
            search_path.append(USERS_FOLDER, theirs(asked.config_dir))
        for distribution, folder in plug_in_folders().items():
            require_names_of_its_own(folder, f"the plug-in {distribution}")
            search_path.append(distribution, theirs(folder))
        if asked.model_folder is not None:
            search_path.prepend("translated-model", ours(asked.model_folder), "main")
        if asked.plain:
            for element in search_path.get_path():
                if element.provider == "main":
                    element.path = ours(Path(element.path))
                elif element.provider == "hydra":
                    element.path = f"{NoSettings.SCHEME}://"


@contextmanager
def searched(config_dir: Path | None, model_folder: Path | None, *, plain: bool = False) -> Iterator[None]:
    """Let what Hydra composes within this block come from these folders too; see `Searched`.

    Raises:
        UsageError: The user's folder does not exist.
    """
    if config_dir is not None:
        require_config_dir(config_dir)
    for plugin in (Folders, UserFolder, PlainFolder, PlainUserFolder, NoSettings):
        Plugins.instance().register(plugin)
    token = _SEARCHED.set(Searched(config_dir, model_folder, plain))
    try:
        yield
    finally:
        _SEARCHED.reset(token)
