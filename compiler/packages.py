"""Where packages are installed."""

from __future__ import annotations

import sys
from pathlib import Path


def package_folders() -> list[str]:
    """The folders that this process finds packages in, but for the current one: what lies there is not installed."""
    here = Path.cwd()
    return [folder for folder in sys.path if folder and Path(folder).absolute() != here]
