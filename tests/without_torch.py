"""A process in which torch, and all else that only compiling needs, cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

REFUSING = """
import json, sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "hydra", "omegaconf", "onnx"):
            raise ImportError(f"{name} was imported")

sys.meta_path.insert(0, Refusing())
"""
PREDICT = """
from pathlib import Path
from compiler import runtime
from compiler.config.known_classes import modules_of
modules = modules_of(Path(sys.argv[3])) if sys.argv[3:] else ()
predictor = runtime.open(sys.argv[1], modules, engine_code=True)
print(json.dumps([result.to_dict() for result in predictor(sys.argv[2])]))
"""


def without_torch(code: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in such a process."""
    command = [sys.executable, "-c", REFUSING + code, *map(str, arguments)]
    environment = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
