"""Each pose model prepares, decodes and describes itself to the SDK as its original does."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from compiler.tasks import Sample, build_task
from compiler.tasks.crops import Crops
from compiler.tasks.pose import Pose, PreparedPoses, TopdownPose
from compiler.tasks.pose.codecs import MegviiHeatmap, MSRAHeatmap, SimCCLabel, UDPHeatmap

CONFIGS = Path(__file__).parents[2] / "conf"
# Our model, and the reference outputs of the original.
ORIGINALS = {
    "hourglass": "hourglass52",
    "hrnet": "hrnet_w32",
    "litehrnet": "litehrnet_18",
    "mspn": "mspn50",
    "simcc-res50": "simcc_res50",
}


def model_task(name: str) -> TopdownPose:
    with initialize_config_dir(version_base=None, config_dir=str(CONFIGS)):
        return build_task(OmegaConf.to_container(compose(f"model/{name}").model.processing, resolve=True))


@pytest.fixture(scope="module", params=ORIGINALS)
def pair(request, parity):
    """A task, and what the original decoded from raw outputs that stood for a crop and for its mirror image."""
    task = model_task(request.param)
    with np.load(parity / "decode" / f"{ORIGINALS[request.param]}.npz") as arrays:
        golden = dict(arrays)
    raw = [golden[key] for key in sorted(golden) if key.startswith("raw.")]
    # Of several stages only the last is decoded.
    return task, dict(zip(task.outputs, raw[-len(task.outputs) :], strict=True)), golden


def decode(task: TopdownPose, outputs: dict[str, np.ndarray]) -> Pose:
    size = np.float32([task.input_size])
    (pose,) = task.decode(outputs, PreparedPoses({}, np.zeros((1, 4), "f4"), Crops(size / 2, size, task.input_size)))
    return pose


@pytest.mark.parametrize("flip", [False, True])
def test_decoding_equals_mmposes(pair, flip):
    task, outputs, golden = pair
    pose = decode(task, task.merge_flipped(outputs, outputs) if flip else outputs)
    expected = f"decoded.{'flip' if flip else 'noflip'}"
    np.testing.assert_allclose(pose.keypoints, golden[f"{expected}.keypoints"][0], rtol=0, atol=1e-5)
    np.testing.assert_allclose(pose.scores, golden[f"{expected}.keypoint_scores"][0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "codec", "use_udp", "shift_heatmap"),
    [
        ("hrnet", MSRAHeatmap((192, 256), (48, 64), 2.0), False, True),
        ("hrnet-w32", MSRAHeatmap((192, 256), (48, 64), 2.0), False, True),
        ("hrnet-w48", MSRAHeatmap((192, 256), (48, 64), 2.0), False, True),
        ("hrnet-w32-384x288", MSRAHeatmap((288, 384), (72, 96), 3.0), False, True),
        ("hrnet-w48-384x288", MSRAHeatmap((288, 384), (72, 96), 3.0), False, True),
        ("hrnet-w32-dark", MSRAHeatmap((192, 256), (48, 64), 2.0, unbiased=True), False, True),
        ("hrnet-w48-dark", MSRAHeatmap((192, 256), (48, 64), 2.0, unbiased=True), False, True),
        ("hrnet-w32-dark-384x288", MSRAHeatmap((288, 384), (72, 96), 3.0, unbiased=True), False, True),
        ("hrnet-w48-dark-384x288", MSRAHeatmap((288, 384), (72, 96), 3.0, unbiased=True), False, True),
        ("hrnet-w32-udp", UDPHeatmap((192, 256), (48, 64)), True, False),
        ("hrnet-w48-udp", UDPHeatmap((192, 256), (48, 64)), True, False),
        ("hrnet-w32-udp-384x288", UDPHeatmap((288, 384), (72, 96), sigma=3.0), True, False),
        ("hrnet-w48-udp-384x288", UDPHeatmap((288, 384), (72, 96), sigma=3.0), True, False),
        ("litehrnet", MSRAHeatmap((192, 256), (48, 64), 2.0), False, True),
        ("litehrnet-30", MSRAHeatmap((192, 256), (48, 64), 2.0), False, True),
        ("litehrnet-18-384x288", MSRAHeatmap((288, 384), (72, 96), 3.0), False, True),
        ("litehrnet-30-384x288", MSRAHeatmap((288, 384), (72, 96), 3.0), False, True),
        ("hourglass", MSRAHeatmap((256, 256), (64, 64), 2.0), False, True),
        ("hourglass-384x384", MSRAHeatmap((384, 384), (96, 96), 3.0), False, True),
        ("mspn", MegviiHeatmap((192, 256), (48, 64), 5), False, False),
        ("mspn-4x", MegviiHeatmap((192, 256), (48, 64), 5), False, False),
        ("simcc-res50", SimCCLabel((192, 256)), False, False),
        ("simcc-res50-384x288", SimCCLabel((288, 384)), False, False),
        ("simcc-mobilenetv2", SimCCLabel((192, 256)), False, False),
    ],
)
def test_the_settings_are_those_of_openmmlabs_config(name, codec, use_udp, shift_heatmap):
    task = model_task(name)
    assert (task.codec, task.use_udp, task.shift_heatmap) == (codec, use_udp, shift_heatmap)
    assert (task.padding, task.to_rgb, task.flip_test) == (1.25, True, False)
    assert (task.mean, task.std) == ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
    assert len(task.keypoints.names) == 17


def test_an_unbiased_crop_and_its_codec_agree(photograph):
    """A peak in a heat map of UDP is placed where the crop shows the image's pixels."""
    task = model_task("hrnet-w32-udp")
    prepared = task.preprocess(Sample(photograph, np.array([[100, 50, 400, 500]])))
    heatmaps = np.zeros((1, 17, 64, 48), np.float32)
    heatmaps[:, :, 20, 30] = 1
    (pose,) = task.decode({"output": heatmaps}, prepared)
    matrix = prepared.crops.matrices()[0]
    inside = pose.keypoints @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(inside, np.tile([30 * 191 / 47, 20 * 255 / 63], (17, 1)), rtol=0, atol=0.01)


def test_the_flip_test_runs_the_network_on_the_mirrored_crop_too(photograph):
    task = dataclasses.replace(model_task("hrnet"), flip_test=True)
    tensors = task.preprocess(Sample(photograph)).tensors
    seen = []

    def run(inputs):
        seen.append(inputs["input"])
        return {"output": np.full((1, 17, 64, 48), len(seen), np.float32)}

    assert (task.infer(run, tensors)["output"] == 1.5).all()
    np.testing.assert_array_equal(seen[1], seen[0][..., ::-1])
