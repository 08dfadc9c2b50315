"""The verb `doctor`: what is installed, and what each backend can do here."""

from __future__ import annotations

import torch

from compiler.config.search import config_loader
from compiler.stages.tools import LIBRARIES
from tests.cli.running import run_verb


def test_it_lists_versions_and_backends(capsys):
    assert run_verb("doctor") == 0
    libraries, backends = capsys.readouterr().out.split("\n\n")
    assert torch.__version__ in libraries
    assert {"hydra-core", *LIBRARIES} <= {line.split()[0] for line in libraries.splitlines()}
    rows = [line for line in backends.strip().splitlines()[1:] if not line.startswith(" ")]  # a long one goes on below
    listed = [row.split()[0] for row in rows]
    assert listed == config_loader().get_group_options("backend")


def test_a_backend_of_ones_own_is_listed_too(capsys, tmp_path):
    (tmp_path / "backend").mkdir()
    (tmp_path / "backend/careful.yaml").write_text("defaults: [onnxruntime, _self_]\nname: careful\n")
    assert run_verb("doctor", "--config-dir", str(tmp_path)) == 0
    assert "careful" in capsys.readouterr().out
