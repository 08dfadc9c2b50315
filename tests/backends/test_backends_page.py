"""docs/backends.md: a row for each backend, with what its class says of it."""

import pytest
import yaml

from compiler.config.backend_facts import backend_facts
from compiler.config.search import config_folder, config_loader
from tests.conftest import REPOSITORY

READS = {"onnx": "ONNX", "torchscript": "TorchScript", "torch_export": "`torch.export`"}
SELECTION = {"native": "in the graph", "host": "on the host", "raw": "on the host, from all candidates"}
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (REPOSITORY / "docs/backends.md").read_text().split("## ONNX Runtime")[0].splitlines()
    if line.startswith("| `")
]
NAMES = config_loader().get_group_options("backend")


def test_each_backend_has_one_row():
    assert sorted(row[0] for row in ROWS) == sorted(f"`{name}`" for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_has_what_the_class_says(name):
    (row,) = [row for row in ROWS if row[0] == f"`{name}`"]
    facts = backend_facts(yaml.safe_load((config_folder() / f"backend/{name}.yaml").read_text()))
    assert row[2:5] == [READS[facts.PROGRAM.IR], ", ".join(facts.PRECISIONS), SELECTION[facts.TAIL]]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_extra_is_one_that_can_be_installed(row):
    extras = (REPOSITORY / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1]
    assert f"\n{row[1].strip('`')} = [" in extras or row[1] == "none: an environment of its own"
