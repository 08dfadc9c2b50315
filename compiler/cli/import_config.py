"""The verb `import`: an OpenMMLab config, written as a file for `conf/model/`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from compiler.errors import ExitCode, UsageError
from compiler.openmmlab.model_file import as_yaml
from compiler.openmmlab.translate import translate_file

USAGE = "python -m compiler import <config.py> [<package>=<its .mim/configs folder>] > conf/model/mine.yaml"


def run(arguments: Sequence[str]) -> int:
    """Print the model that a config describes, as YAML."""
    files = [argument for argument in arguments if "=" not in argument]
    if len(files) != 1:
        raise UsageError("import takes one config", where="command line", fix=USAGE)
    options = (argument.partition("=") for argument in arguments if "=" in argument)
    packages = {package: Path(folder) for package, _, folder in options}
    sys.stdout.write(as_yaml(translate_file(Path(files[0]), packages)))
    return ExitCode.PROVEN
