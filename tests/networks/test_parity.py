"""Every network is the one that OpenMMLab trains: the same keys, in the same order, with the same numbers."""

import numpy as np
import pytest
import torch

from compiler.networks import build

# Our model, and the reference outputs of the original.
MODELS = {
    "centerpoint": "centerpoint_pillar02",
    "crnn": "crnn",
    "dbnet": "dbnet_r18",
    "hourglass": "hourglass52",
    "hrnet": "hrnet_w32",
    "litehrnet": "litehrnet_18",
    "mspn": "mspn50",
    "mspn-2x": "mspn50_2x",
    "panet": "panet_r18",
    "pointpillars": "pointpillars_kitti3",
    "psenet": "psenet_r50",
    "retinanet": "retinanet_r50",
    "rtmdet-tiny": "rtmdet_tiny",
    "rtmpose": "rtmpose_m",
    "simcc-res50": "simcc_res50",
    "yolov3": "yolov3_d53",
    "yoloxpose": "yoloxpose_s",
}
VOXELS = ("voxels", "num_points", "coors")
# Of the outputs of the original, those that it predicts from, where it has others for training.
PREDICTED = {"crnn": ["out.probs"], "dbnet": ["out.prob_map"]}


def inputs_of(original, weights):
    """Return what the original was given, by name."""
    if original["input"]["kind"] == "points":
        return {name: original["arrays"][name] for name in VOXELS}
    return {"input": weights.image(original["input"]["seed"], tuple(original["input"]["shape"]))}


def outputs_of(name, original):
    """Return the descriptions of the outputs that a model's engine has too."""
    predicted = PREDICTED.get(name)
    return [output for output in original["outputs"] if predicted is None or output["name"] in predicted]


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
    ours = [[key, list(v.shape), str(v.dtype).removeprefix("torch.")] for key, v in network.state_dict().items()]
    assert ours == original["state_dict"]
    assert sum(parameter.numel() for parameter in network.parameters()) == original["num_parameters"]


def test_config_names_the_original(name, model, original):
    assert model(name).openmmlab == original["config"]


def test_raw_outputs_equal_openmmlabs(name, run, original):
    outputs, _ = run
    for output, expected in zip(outputs, outputs_of(name, original), strict=True):
        assert list(output.shape) == expected["shape"]
        found = output.numpy().ravel()[:: expected["step"]]
        reference = original["arrays"][expected["name"]].ravel()
        assert np.abs(found - reference).max() < 1e-4 * expected["std"], expected["name"]


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
