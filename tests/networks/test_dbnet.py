"""DBNet and DBNet++ are the networks that OpenMMLab trained."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compiler.networks import build
from compiler.networks.heads.db import DBHead
from compiler.networks.layers.deform_conv import ModulatedDeformConv2d
from compiler.networks.necks.fpnc import FPNC, ScaleChannelSpatialAttention
from compiler.networks.text_detection import TextDetector
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.functions.nearest_to_bilinear import nearest_to_bilinear
from tests.networks.exporting import TinyBackbone, exported

ROOT = Path(__file__).parents[2]
ATTENTION = {"attention_type": "ScaleChannelSpatial"}
DEFORMABLE_LAYERS = ("layer2", "layer3", "layer4")

# Algorithm, class and depth of the backbone, whether it is deformable, and scale, in OpenMMLab's config files.
VARIANTS = {
    "dbnet": ("dbnet", "ResNet", 18, False, [1333, 736]),
    "dbnet-r18-totaltext": ("dbnet", "ResNet", 18, False, [1333, 736]),
    "dbnet-r50": ("dbnet", "ResNet", 50, False, [4068, 1024]),
    "dbnet-r50-dcn": ("dbnet", "ResNet", 50, True, [4068, 1024]),
    "dbnet-r50-oclip": ("dbnet", "CLIPResNet", 50, False, [4068, 1024]),
    "dbnetpp": ("dbnetpp", "ResNet", 50, True, [4068, 1024]),
    "dbnetpp-r50": ("dbnetpp", "ResNet", 50, False, [4068, 1024]),
    "dbnetpp-r50-oclip": ("dbnetpp", "CLIPResNet", 50, False, [4068, 1024]),
}
ALIASES = {"dbnet-r18": "dbnet", "dbnetpp-r50-dcn": "dbnetpp"}

# Mean and standard deviation of the output of MMOCR 1.0.1's FPNC([8, 16, 32, 64], 16, 8, asf_cfg=ATTENTION) with the
# weights of tests/parity/weights.py, on its images of the names and shapes below.
WEIGHED = (-0.2010013610124588, 0.593609631061554)
LEVELS = [
    ("level0", (1, 8, 32, 48)),
    ("level1", (1, 16, 16, 24)),
    ("level2", (1, 32, 8, 12)),
    ("level3", (1, 64, 4, 6)),
]


@pytest.fixture(scope="module")
def original(references):
    return references("dbnet_r18")


@pytest.fixture(scope="module")
def network(model, weights):
    network = build(model("dbnet").network)
    network.load_state_dict(weights.fill(network.state_dict()), strict=True)
    return network


@pytest.fixture(scope="module")
def image(weights, original):
    return torch.from_numpy(weights.image("dbnet_r18", tuple(original["input"]["shape"])))


def assert_equals(found, original, name):
    (expected,) = (output for output in original["outputs"] if output["name"] == name)
    assert list(found.shape) == expected["shape"]
    assert np.abs(found.numpy() - original["arrays"][name]).max() < 1e-4 * expected["std"]


def test_state_dict_has_openmmlabs_keys_shapes_and_order(network, original):
    ours = [[key, list(v.shape), str(v.dtype).removeprefix("torch.")] for key, v in network.state_dict().items()]
    assert ours == original["state_dict"]
    assert sum(parameter.numel() for parameter in network.parameters()) == original["num_parameters"]


def test_probabilities_equal_openmmlabs(network, original, image):
    (probabilities,) = network(image)
    assert_equals(probabilities, original, "out.prob_map")


def test_what_only_training_needs_is_there_and_equals_openmmlabs(network, original, image):
    head = network.det_head
    (feature,) = network.neck(network.backbone(image))
    logits, threshold = head.binarize(feature).squeeze(1), head.threshold(feature).squeeze(1)
    assert_equals(logits, original, "out.prob_logits")
    assert_equals(threshold, original, "out.thr_map")
    assert_equals(torch.sigmoid(50 * (logits.sigmoid() - threshold)), original, "out.binary_map")


def test_weighed_maps_equal_mmocrs(weights):
    neck = FPNC([8, 16, 32, 64], 16, 8, asf_cfg=ATTENTION).eval().requires_grad_(False)
    neck.load_state_dict(weights.fill(neck.state_dict()))
    (output,) = neck([torch.from_numpy(weights.image(name, shape)) for name, shape in LEVELS])
    assert output.shape == (1, 32, 32, 48)
    assert (output.mean().item(), output.std().item()) == pytest.approx(WEIGHED, rel=1e-4)


def test_every_map_contributes_its_own_channels():
    neck = FPNC([1, 1, 1], 1, 1)
    for module in neck.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
    fine, middle, coarse = (torch.randn(1, 1, 16 >> level, 16 >> level) for level in range(3))
    (output,) = neck((fine, middle, coarse))
    repeated = middle + coarse.repeat_interleave(2, -1).repeat_interleave(2, -2)
    merged = repeated.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(output[:, :1], fine + merged)
    torch.testing.assert_close(output[:, 1:2], merged)
    torch.testing.assert_close(output[:, 2:], coarse.repeat_interleave(4, -1).repeat_interleave(4, -2))


def test_attention_is_one_number_between_0_and_1_for_each_map_and_pixel():
    attention = ScaleChannelSpatialAttention(12, 3, 4)(10 * torch.randn(2, 12, 5, 7))
    assert attention.shape == (2, 4, 5, 7)
    assert 0 <= attention.min() < attention.max() <= 1


def test_another_attention_is_refused():
    with pytest.raises(ValueError, match="attention_type 'ScaleSpatial' is not supported, only ScaleChannelSpatial"):
        FPNC([1, 1], asf_cfg={"attention_type": "ScaleSpatial"})


@pytest.mark.parametrize("asf_cfg", [pytest.param(None, marks=pytest.mark.slow), ATTENTION])
def test_it_exports_at_every_size(asf_cfg):
    torch.manual_seed(0)
    network = TextDetector(TinyBackbone([4, 5, 6, 7]), FPNC([4, 5, 6, 7], 8, 4, asf_cfg), DBHead(16)).eval()
    program = exported(network)
    for shape in ((1, 3, 64, 96), (3, 3, 96, 32)):
        image = torch.randn(shape)
        np.testing.assert_allclose(program(image), network(image)[0].detach(), rtol=0, atol=1e-4)
    # Nothing computes a size: each map is enlarged by a constant factor.
    assert program.operators.count("Resize") == 6
    assert "Shape" not in program.operators


@pytest.mark.parametrize(("backend", "times"), [("tensorrt", 6), ("onnxruntime", 0)])
def test_tensorrt_enlarges_by_bilinear_interpolation(model, network, backend, times):
    chosen = select([nearest_to_bilinear], Target(backend, algo=model("dbnet").algo))
    applied = rewritten(network, chosen)
    with rewriting(applied) as ledger:
        applied.network(torch.zeros(1, 3, 64, 64))
    assert [(entry.status, entry.times) for entry in ledger.entries()] == ([("fired", times)] if times else [])


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_openmmlabs_and_runs(model, name):
    algo, backbone, depth, deformable, scale = VARIANTS[name]
    config = model(name)
    assert (config.name, config.algo, config.task) == (name, algo, "text-detection")
    assert config.processing.scale == scale
    assert config.processing.postprocessor.get("epsilon_ratio") == (0.002 if algo == "dbnetpp" else None)
    with torch.device("meta"):
        network = build(config.network)
        (output,) = network(torch.zeros(1, 3, 64, 96))
    assert list(output.shape) == [1, 64, 96]
    assert type(network.backbone).__name__ == backbone
    assert config.network.backbone.depth == depth
    assert hasattr(network.neck, "asf_attn") == (algo == "dbnetpp")
    blocks = {part.split(".")[0] for part, module in network.backbone.named_modules() if is_deformable(module)}
    assert blocks == (set(DEFORMABLE_LAYERS) if deformable else set())


def is_deformable(module):
    return isinstance(module, ModulatedDeformConv2d)


def test_every_block_of_a_deformable_stage_is_deformable(model):
    with torch.device("meta"):
        backbone = build(model("dbnet-r50-dcn").network.backbone)
    for name in DEFORMABLE_LAYERS:
        blocks = getattr(backbone, name)
        assert all(is_deformable(block.conv2) for block in blocks)
        # The stride stays where it was, in the 3x3 convolution of the first block.
        assert [block.conv2.stride[0] for block in blocks] == [2] + [1] * (len(blocks) - 1)


@pytest.mark.parametrize(("name", "same"), ALIASES.items())
def test_the_full_name_is_the_same_model(model, name, same):
    assert model(name) == model(same)


def test_every_config_file_is_tested():
    files = {path.stem for path in (ROOT / "conf" / "model").glob("dbnet*.yaml")}
    assert files == {*VARIANTS, *ALIASES}
