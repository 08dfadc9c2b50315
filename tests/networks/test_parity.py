"""Every network is the one that OpenMMLab trains: the same keys, in the same order, with the same numbers."""

import numpy as np
import pytest
import torch

from compiler.networks import build

# Our model, and the reference outputs of the original.
MODELS = {
    "hourglass": "hourglass52",
    "hrnet": "hrnet_w32",
    "litehrnet": "litehrnet_18",
    "mspn": "mspn50",
    "mspn-2x": "mspn50_2x",
    "retinanet": "retinanet_r50",
    "rtmdet-tiny": "rtmdet_tiny",
    "rtmpose": "rtmpose_m",
    "simcc-res50": "simcc_res50",
    "yolov3": "yolov3_d53",
    "yoloxpose": "yoloxpose_s",
}


@pytest.fixture(scope="module", params=MODELS)
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
def image(name, weights, original):
    return torch.from_numpy(weights.image(MODELS[name], tuple(original["input"]["shape"])))


def test_state_dict_has_openmmlabs_keys_shapes_and_order(network, original):
    ours = [[key, list(v.shape), str(v.dtype).removeprefix("torch.")] for key, v in network.state_dict().items()]
    assert ours == original["state_dict"]
    assert sum(parameter.numel() for parameter in network.parameters()) == original["num_parameters"]


def test_config_names_the_original(name, model, original):
    assert model(name).openmmlab == original["config"]


def test_raw_outputs_equal_openmmlabs(network, original, image):
    outputs = network(image)
    assert len(outputs) == len(original["outputs"])
    for output, expected in zip(outputs, original["outputs"], strict=True):
        assert list(output.shape) == expected["shape"]
        found = output.numpy().ravel()[:: expected["step"]]
        reference = original["arrays"][expected["name"]].ravel()
        assert np.abs(found - reference).max() < 1e-4 * expected["std"], expected["name"]


def test_backbone_equals_openmmlabs(network, original, image):
    features = [feature for level in network.backbone(image) for feature in _flat(level)]
    for feature, expected in zip(features, original["stages"]["backbone"], strict=True):
        assert list(feature.shape) == expected["shape"]
        assert feature.mean().item() == pytest.approx(expected["mean"], abs=1e-4 * expected["std"])
        assert feature.std().item() == pytest.approx(expected["std"], rel=1e-3)


def _flat(level):
    return [level] if isinstance(level, torch.Tensor) else list(level)
