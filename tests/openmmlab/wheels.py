"""The configs that OpenMMLab publishes, from its wheels."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

VERSIONS = {"mmpose": "1.3.2", "mmdet": "3.3.0", "mmocr": "1.0.1", "mmdet3d": "1.4.0"}


@cache
def wheel_configs(package: str) -> Path:
    """Return the folder `.mim/configs` of a package.

    It comes from the unzipped wheels, a folder for each, in the folder that `DEPLOY_COMPILER_WHEELS` names; without
    that variable the wheel is downloaded, once in a session.
    """
    given = os.environ.get("DEPLOY_COMPILER_WHEELS")
    folder = Path(given) if given else _download(package)
    return next(folder.glob(f"*/{package}/.mim/configs"))


def published_configs(package: str) -> list[Path]:
    """Return the `.py` files among a package's configs."""
    return sorted(wheel_configs(package).rglob("*.py"))


def _download(package: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="openmmlab-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    wheel = f"{package}=={VERSIONS[package]}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
    subprocess.run([*command, wheel], check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        # Beside the configs are the files that they refer to, such as dictionaries.
        archive.extractall(folder / "wheel", [name for name in archive.namelist() if "/.mim/" in name])
    return folder
