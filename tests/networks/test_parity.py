"""Every network is the one that OpenMMLab trains: the same keys, in the same order, with the same numbers."""

import pytest
import torch

from compiler.networks import build
from tests.networks.parity import MODELS, distance, inputs_of, outputs_of, state_of

# What is another network's with more stages.
SLOW = ("mspn-2x",)


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODELS]
)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def original(name, references):
    return references(MODELS[name])


@pytest.fixture(scope="module")
def network(name, model, weights):
    network = build(model(name).network)
    network.load_state_dict(weights.fill(network.state_dict()), strict=True)
    return network


@pytest.fixture(scope="module")
def run(network, original, weights):
    """The outputs of the network, and of each of its stages by name; training's extra outputs have no stage here."""
    stages = {}
    names = [stage for stage in original["stages"] if not stage.endswith(("head", "decoder"))]
    hooks = [
        network.get_submodule(stage).register_forward_hook(
            lambda module, arguments, output, stage=stage: stages.update({stage: output})
        )
        for stage in names
    ]
    outputs = network(*map(torch.from_numpy, inputs_of(original, weights).values()))
    for hook in hooks:
        hook.remove()
    return outputs, stages


def test_state_dict_has_openmmlabs_keys_shapes_and_order(network, original):
    assert state_of(network) == original["state_dict"]
    assert sum(parameter.numel() for parameter in network.parameters()) == original["num_parameters"]


def test_config_names_the_original(name, model, original):
    assert model(name).openmmlab == original["config"]


def test_raw_outputs_equal_openmmlabs(name, run, original):
    outputs, _ = run
    for output, expected in zip(outputs, outputs_of(name, original), strict=True):
        assert distance(output.numpy(), expected, original) < 1e-4, expected["name"]


def test_every_stage_equals_openmmlabs(run, original):
    _, stages = run
    assert stages
    for stage, output in stages.items():
        for feature, expected in zip(_flat(output), original["stages"][stage], strict=True):
            assert list(feature.shape) == expected["shape"]
            assert feature.mean().item() == pytest.approx(expected["mean"], abs=1e-4 * expected["std"])
            assert feature.std().item() == pytest.approx(expected["std"], rel=1e-3)


def _flat(output):
    if isinstance(output, torch.Tensor):
        return [output]
    return [feature for level in output for feature in _flat(level)]
