"""Virtual environments of their own, for what must not share ours: other pins, or no torch."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path


def make_environment(folder: Path, *requirements: str) -> Path:
    """Make a virtual environment with these requirements, and return its interpreter."""
    venv.create(folder)
    python = folder / "bin/python"
    # Our own pip installs into it, which saves unpacking another; what is imported there is compiled there.
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-compile", *requirements]
    subprocess.run(command, check=True, capture_output=True)
    return python


def build_wheel(repository: Path, folder: Path) -> Path:
    """Build the project's wheel into a folder, and return it."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, repository]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("deploy_compiler-*.whl"))


def install_beside(folder: Path, *requirements: str) -> Path:
    """Install these, without what they require, into a folder that a process may have on its path, and return it."""
    options = "--quiet", "--no-deps", "--no-compile", "--target", folder
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *requirements], check=True, capture_output=True)
    return folder
