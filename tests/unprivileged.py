"""Python code run by who may do no more than the modes of files say: as root, tests of modes would test nothing."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

PR_CAPBSET_DROP = 24
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER = 1, 2, 3
"""What lets root pass modes by."""


def run_unprivileged(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process that modes hold for, whoever runs the tests."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    before = _drop_capabilities if os.geteuid() == 0 else None
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=before)


def _drop_capabilities() -> None:
    """Give up, in a child before it becomes Python, what root may do beyond modes."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


def read_only(*folders: os.PathLike[str]) -> None:
    """Take from everybody what lets them change folders and what is in them."""
    for folder in folders:
        for path in (*Path(folder).rglob("*"), Path(folder)):
            path.chmod(0o555 if path.is_dir() else 0o444)
