"""The deformable convolution, against the reference implementation of ONNX's DeformConv."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator
from torch import nn
from torch.nn import functional as F

from compiler.networks.layers.deform_conv import ModulatedDeformConv2d
from tests.networks.exporting import exported


def make_convolution(*sizes, spread=2.0, bias=False, **options):
    """Return a convolution whose offsets are some pixels large."""
    torch.manual_seed(0)
    convolution = ModulatedDeformConv2d(*sizes, bias=bias, **options).eval().requires_grad_(False)
    nn.init.normal_(convolution.conv_offset.weight, std=spread / convolution.conv_offset.weight[0].numel() ** 0.5)
    nn.init.normal_(convolution.conv_offset.bias)
    return convolution


def onnx_deform_conv(convolution, image):
    """Compute the convolution by the operator's definition in ONNX."""
    taps = convolution.kernel_size[0] ** 2
    offset, mask = convolution.conv_offset(image).split([2 * taps, taps], dim=1)
    bias = torch.zeros(convolution.out_channels) if convolution.bias is None else convolution.bias
    feeds = {"X": image, "W": convolution.weight, "offset": offset, "B": bias, "mask": mask.sigmoid()}
    node = helper.make_node(
        "DeformConv",
        list(feeds),
        ["Y"],
        kernel_shape=list(convolution.kernel_size),
        strides=list(convolution.stride),
        pads=[*convolution.padding, *convolution.padding],
    )
    inputs = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in feeds]
    output = helper.make_tensor_value_info("Y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "deform_conv", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)])
    (result,) = ReferenceEvaluator(model).run(None, {name: value.numpy() for name, value in feeds.items()})
    return torch.from_numpy(result)


def without_offsets(*sizes, dy=0.0, dx=0.0, weight=20.0, **options):
    """Return a convolution whose taps all look `dy` pixels further down and `dx` further to the right."""
    convolution = make_convolution(*sizes, **options)
    taps = convolution.kernel_size[0] ** 2
    nn.init.zeros_(convolution.conv_offset.weight)
    convolution.conv_offset.bias.copy_(torch.tensor([dy, dx] * taps + [weight] * taps))
    return convolution


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "spread", "bias"),
    [
        (3, 1, 1, 2.0, False),
        (3, 1, 1, 2.0, True),
        (3, 2, 1, 2.0, True),
        (3, 1, 0, 0.5, False),
        (1, 1, 0, 2.0, True),
        (3, 1, 1, 8.0, False),
    ],
)
def test_it_is_onnxs_operator(kernel_size, stride, padding, spread, bias):
    convolution = make_convolution(2, 3, kernel_size, stride, padding, spread=spread, bias=bias)
    image = torch.randn(2, 2, 5, 8)
    torch.testing.assert_close(convolution(image), onnx_deform_conv(convolution, image), rtol=1e-4, atol=1e-5)


def test_the_cases_above_look_between_pixels_and_outside_the_image():
    convolution, image = make_convolution(3, 4, 3, 1, 1), torch.randn(2, 3, 6, 9)
    x, y = convolution._grid(image, convolution.conv_offset(image)[:, :18]).unbind(-1)
    for position in (x, y):
        assert position.min() < -1.2
        assert position.max() > 1.2
        assert 0.3 < (position.abs() < 1).float().mean() < 0.99


def test_without_offsets_it_is_a_plain_convolution():
    convolution, image = without_offsets(3, 4, 3, 2, 1, bias=True), torch.randn(2, 3, 7, 10)
    plain = F.conv2d(image, convolution.weight, convolution.bias, stride=2, padding=1)
    torch.testing.assert_close(convolution(image), plain, rtol=1e-4, atol=1e-5)


def test_each_tap_counts_as_much_as_the_sigmoid_says():
    convolution, image = without_offsets(3, 4, 3, weight=0.0), torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(convolution(image), F.conv2d(image, convolution.weight) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("dy", "dx"), [(1, 0), (0, 1), (2, -1)])
def test_offsets_are_first_down_then_to_the_right(dy, dx):
    convolution, image = without_offsets(3, 4, 3, dy=float(dy), dx=float(dx)), torch.randn(1, 3, 8, 8)
    moved = F.pad(image, (8, 8, 8, 8)).roll((-dy, -dx), (2, 3))[:, :, 8:-8, 8:-8]
    torch.testing.assert_close(convolution(image), F.conv2d(moved, convolution.weight), rtol=1e-4, atol=1e-5)


def test_half_a_pixel_is_the_mean_of_two():
    convolution = without_offsets(1, 1, 1, dx=0.5)
    nn.init.ones_(convolution.weight)
    row = convolution(torch.tensor([[[[1.0, 3.0, 9.0]]]])).flatten()
    # Behind the last pixel is a zero.
    torch.testing.assert_close(row, torch.tensor([2.0, 6.0, 4.5]))


def test_far_outside_there_is_nothing_but_the_bias():
    convolution = without_offsets(3, 4, 3, dy=1000.0, bias=True)
    output = convolution(torch.randn(1, 3, 5, 5))
    torch.testing.assert_close(output, convolution.bias[None, :, None, None].expand_as(output))


def test_keys_are_openmmlabs():
    keys = list(make_convolution(3, 4, 3).state_dict())
    assert keys == ["weight", "conv_offset.weight", "conv_offset.bias"]


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_it_exports_at_every_size(stride):
    convolution = make_convolution(3, 4, 3, stride, 1)
    program = exported(nn.Sequential(convolution))
    assert {"GridSample", "Conv"} <= set(program.operators)
    for shape in ((1, 3, 32, 96), (3, 3, 96, 64)):
        image = torch.randn(shape)
        np.testing.assert_allclose(program(image), convolution(image), rtol=0, atol=1e-4)
