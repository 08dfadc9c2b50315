"""Writes what MMEngine reads of config files as a pickle. Runs where MMEngine is installed, and nothing of ours is.

Usage: `python mmengine_reference.py output.pickle`, with the files and the packages' folders as JSON on standard input.
"""

import contextlib
import json
import pickle
import sys
from pathlib import Path

import mmengine.config.config as module


def read(path):
    try:
        config = module.Config._file2dict(path)[0]
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:200]}"}
    return {"config": module.ConfigDict(config).to_dict()}


def base_path(package, path):
    file = Path(package, ".mim/configs", path)
    if not file.is_file():
        raise FileNotFoundError(file)
    return str(file)


def main():
    request = json.load(sys.stdin)
    # The packages are unzipped, not installed.
    module.is_installed = request["packages"].__contains__
    module.get_installed_path = request["packages"].__getitem__
    # The list of published models, which MMEngine looks a base up in first, holds no base: reading it takes long.
    module._get_external_cfg_path = base_path
    with contextlib.redirect_stdout(sys.stderr):
        configs = {path: read(path) for path in request["files"]}
    Path(sys.argv[1]).write_bytes(pickle.dumps(configs))


if __name__ == "__main__":
    main()
