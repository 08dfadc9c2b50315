"""Processes of our own: how one is started that finds our packages and nothing else, and how one ended."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence

START = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from {module} import main; main()"


def isolated_command(module: str, folders: Sequence[str]) -> list[str]:
    """The command line that runs `main` of a module of ours; what is added to it are its arguments.

    Args:
        module: Its whole name.
        folders: In which it finds packages, ours too: neither in the one that it is started in, nor by variables of the
            environment.
    """
    return [sys.executable, "-I", "-c", START.format(module=module), json.dumps(list(folders))]


def ended(status: int) -> str:
    """How a process ended that has this exit status, in words that follow "ended with"."""
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
