"""Virtual environments of their own, for what must not share ours: other pins, or no torch."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path


def make_environment(folder: Path, *requirements: str) -> Path:
    """Make a virtual environment with these requirements, and return its interpreter."""
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True, capture_output=True)
    return python


def build_wheel(repository: Path, folder: Path) -> Path:
    """Build the project's wheel into a folder, and return it."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, repository]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("deploy_compiler-*.whl"))


def install_beside(folder: Path, *requirements: str) -> Path:
    """Install these, without what they require, into a folder that a process may have on its path, and return it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *requirements]
    subprocess.run(command, check=True, capture_output=True)
    return folder
