"""What the tests of serving share: Triton's own protocol buffers, in a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.environments import install_beside

PARSE = """
import importlib.util, json, sys
from pathlib import Path
import tritonclient
from google.protobuf import json_format, text_format

place = Path(tritonclient.__file__).parent / "grpc/model_config_pb2.py"  # its package imports grpc
spec = importlib.util.spec_from_file_location("model_config_pb2", place)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
parsed = {}
for file in Path(sys.argv[1]).glob("*/config.pbtxt"):
    config = text_format.Parse(file.read_text(), module.ModelConfig())
    parsed[file.parent.name] = json_format.MessageToDict(config, preserving_proto_field_name=True)
json.dump(parsed, sys.stdout)
"""


@pytest.fixture(scope="session")
def parse_configs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], dict[str, Any]]:
    """Parses every `config.pbtxt` of a repository by Triton's own protocol buffers, by the name of the model."""
    library = install_beside(tmp_path_factory.mktemp("tritonclient"), "tritonclient", "protobuf")

    def parse(repository: Path) -> dict[str, Any]:
        environment = {**os.environ, "PYTHONPATH": str(library)}
        command = [sys.executable, "-c", PARSE, repository]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    return parse
