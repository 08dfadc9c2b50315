"""A published config is all it takes: the network that it describes computes what OpenMMLab's computes."""

import pytest
import torch

from compiler.networks import build
from tests.networks.parity import MODELS, distance, inputs_of, outputs_of, read_reference, state_of
from tests.openmmlab.published import theirs
from tests.parity import weights

# Of each task the smallest. All are compared with the models of ours that tests/networks/test_parity.py runs.
QUICK = ("crnn", "dbnet", "litehrnet", "pointpillars", "rtmdet-tiny")


@pytest.mark.parametrize("name", MODELS)
def test_the_network_of_a_published_config_has_openmmlabs_keys_shapes_and_order(name):
    with torch.device("meta"):
        network = build(theirs(name)["network"])
    assert state_of(network) == read_reference(MODELS[name])["state_dict"]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in MODELS]
)
def test_the_network_of_a_published_config_is_openmmlabs(name):
    original = read_reference(MODELS[name])
    network = build(theirs(name)["network"])
    network.load_state_dict(weights.fill(network.state_dict()), strict=True)
    outputs = network(*map(torch.from_numpy, inputs_of(original, weights).values()))
    for output, expected in zip(outputs, outputs_of(name, original), strict=True):
        assert distance(output.numpy(), expected, original) < 1e-4, expected["name"]
