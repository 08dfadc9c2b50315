"""docs/backends.md: a row for each backend, with what its class says of it."""

import pytest
import yaml

from compiler.config.backend_facts import backend_facts
from compiler.config.search import config_folder, config_loader
from tests.conftest import REPOSITORY

READS = {"onnx": "ONNX", "torchscript": "TorchScript", "torch_export": "`torch.export`"}
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (REPOSITORY / "docs/backends.md").read_text().split("## ONNX Runtime")[0].splitlines()
    if line.startswith("| `")
]


@pytest.mark.parametrize("name", config_loader().get_group_options("backend"))
def test_the_page_has_what_the_class_says(name):
    (row,) = [row for row in ROWS if f"`{name}`" in row[0].split(", ")]
    facts = backend_facts(yaml.safe_load((config_folder() / f"backend/{name}.yaml").read_text()))
    assert READS[facts.PROGRAM.IR] in row[2]
    assert row[3] == ", ".join(facts.PRECISIONS)
    assert {"native": "in the graph", "host": "on the host", "raw": "from all candidates"}[facts.TAIL] in row[4]
