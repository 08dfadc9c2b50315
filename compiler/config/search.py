"""Where configs are found: ours, after them a folder of the user's, and those of installed plug-ins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hydra.core.config_loader import ConfigLoader

CONFIG_NAME = "compile"
HYDRA_VERSION = "1.3"
"""Whose defaults the configs are written for."""


def config_folder() -> Path:
    """The folder of the configs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parent / "conf"


def config_loader(
    config_dir: Path | None = None, model_folder: Path | None = None, *, plain: bool = False
) -> ConfigLoader:
    """Hydra's loader over our configs.

    Args:
        config_dir: A folder of the user's, searched after ours.
        model_folder: A folder that holds a translated model, searched before ours.
        plain: Whether it only chooses files; see `compiler.config.plain_composition`.

    Raises:
        UsageError: The user's folder does not exist.
    """
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    from compiler.config.search_path import searched

    with (
        _application_set_aside(),
        searched(config_dir, model_folder, plain=plain),
        initialize_config_dir(str(config_folder()), job_name="compiler", version_base=HYDRA_VERSION),
    ):
        return GlobalHydra.instance().config_loader()


@contextmanager
def _application_set_aside() -> Iterator[None]:
    """Hold the Hydra of the application that calls us, of which a process can have only one."""
    from hydra.core.global_hydra import GlobalHydra

    application = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().hydra = application
