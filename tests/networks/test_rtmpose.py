"""RTMPose is the network that OpenMMLab trained: same keys, same shapes, same numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from compiler.networks import build
from compiler.tasks import build_task
from compiler.tasks.crops import Crops
from compiler.tasks.pose import PreparedPoses

ROOT = Path(__file__).parents[2]

# deepen_factor, widen_factor, in_channels, input_size, in_featuremap_size and sigma of OpenMMLab's config files.
VARIANTS = {
    "rtmpose-t": (0.167, 0.375, 384, [192, 256], [6, 8], [4.9, 5.66]),
    "rtmpose-s": (0.33, 0.5, 512, [192, 256], [6, 8], [4.9, 5.66]),
    "rtmpose": (0.67, 0.75, 768, [192, 256], [6, 8], [4.9, 5.66]),
    "rtmpose-l": (1.0, 1.0, 1024, [192, 256], [6, 8], [4.9, 5.66]),
    "rtmpose-m-384x288": (0.67, 0.75, 768, [288, 384], [9, 12], [6.0, 6.93]),
    "rtmpose-l-384x288": (1.0, 1.0, 1024, [288, 384], [9, 12], [6.0, 6.93]),
}


@pytest.fixture(scope="module")
def rtmpose(model, weights):
    network = build(model("rtmpose").network)
    network.load_state_dict(weights.fill(network.state_dict()), strict=True)
    return network


def test_state_dict_has_openmmlabs_keys_shapes_and_order(rtmpose, reference):
    state = rtmpose.state_dict()
    ours = [[key, list(value.shape), str(value.dtype).removeprefix("torch.")] for key, value in state.items()]
    assert ours == reference["state_dict"]


def test_number_of_parameters(rtmpose, reference):
    assert sum(parameter.numel() for parameter in rtmpose.parameters()) == reference["num_parameters"] == 13_587_611


def test_outputs_equal_openmmlabs(rtmpose, weights, reference):
    image = torch.from_numpy(weights.image("rtmpose_m", tuple(reference["input"]["shape"])))
    outputs = rtmpose(image)
    assert isinstance(outputs, tuple)
    assert len(outputs) == 2
    for index, output in enumerate(outputs):
        expected = reference["arrays"][f"out.{index}"]
        assert np.abs(output.numpy() - expected).max() < 1e-4 * expected.std()


@pytest.mark.parametrize("flip_test", [False, True])
def test_decoded_poses_equal_openmmlabs(rtmpose, weights, reference, model, flip_test):
    task = build_task(model("rtmpose").processing)
    # The reference decodes in the network's own input: a crop that is the whole of a 192x256 image, unscaled.
    crops = Crops(np.array([[96, 128]], np.float32), np.array([[192, 256]], np.float32), (192, 256))
    prepared = PreparedPoses({"input": weights.image("rtmpose_m", (1, 3, 256, 192))}, np.zeros((1, 4), "f4"), crops)

    def run(tensors):
        outputs = rtmpose(torch.from_numpy(tensors["input"]))
        return {name: output.numpy() for name, output in zip(task.outputs, outputs, strict=True)}

    outputs = run(prepared.tensors)
    if flip_test:
        outputs = task.merge_flipped(outputs, run(task.flip(prepared.tensors)))
    (pose,) = task.decode(outputs, prepared)
    expected = "decoded.flip" if flip_test else "decoded.noflip"
    np.testing.assert_allclose(pose.keypoints, reference["arrays"][f"{expected}.keypoints"][0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(pose.scores, reference["arrays"][f"{expected}.keypoint_scores"][0], rtol=0, atol=1e-5)


def test_backbone_statistics_equal_openmmlabs(rtmpose, weights, reference):
    (features,) = rtmpose.backbone(torch.from_numpy(weights.image("rtmpose_m", (1, 3, 256, 192))))
    (expected,) = reference["stages"]["backbone"]
    assert list(features.shape) == expected["shape"]
    assert features.mean().item() == pytest.approx(expected["mean"], abs=1e-4 * expected["std"])
    assert features.std().item() == pytest.approx(expected["std"], rel=1e-3)


def test_items_of_a_batch_do_not_depend_on_each_other(rtmpose, weights):
    images = torch.from_numpy(weights.image("batch", (3, 3, 256, 192)))
    together = rtmpose(images)
    for index in range(3):
        for whole, alone in zip(together, rtmpose(images[index : index + 1]), strict=True):
            torch.testing.assert_close(whole[index : index + 1], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    config = model(name)
    deepen, widen, channels, input_size, feature_size, sigma = VARIANTS[name]
    assert config.name == name
    assert (config.algo, config.task) == ("simcc", "pose-detection")
    backbone, head = config.network.backbone, config.network.head
    assert (backbone.deepen_factor, backbone.widen_factor, head.in_channels) == (deepen, widen, channels)
    assert head.input_size == config.processing.input_size == config.processing.codec.input_size == input_size
    assert list(config.input_shape) == input_size[::-1]
    assert head.in_featuremap_size == feature_size == [side // 32 for side in input_size]
    assert config.processing.codec.sigma == sigma
    assert head.out_channels == len(config.processing.keypoints.names) == 17

    with torch.device("meta"):
        simcc_x, simcc_y = build(config.network)(torch.zeros(1, 3, *config.input_shape))
    assert simcc_x.shape == (1, 17, 2 * input_size[0])
    assert simcc_y.shape == (1, 17, 2 * input_size[1])


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("rtmpose*.yaml")}
    assert files == {*VARIANTS, "rtmpose-m"}


def test_rtmpose_m_is_another_name_for_rtmpose(model):
    assert model("rtmpose-m") == model("rtmpose")


@pytest.mark.parametrize("name", VARIANTS)
def test_the_digest_is_the_one_in_the_checkpoints_name(model, name):
    official = model(name).official
    assert official.url.startswith("https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/rtmpose-")
    digest = official.url.rsplit("-", 1)[1].split("_")[0]
    assert official.sha256 == digest
    assert len(digest) == 8


@pytest.mark.parametrize("name", VARIANTS)
def test_the_first_line_describes_the_config(name):
    first = (ROOT / "conf" / "model" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("# RTMPose-")
