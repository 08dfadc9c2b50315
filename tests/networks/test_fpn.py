"""The feature pyramid, against what its paper says of it."""

import pytest
import torch
from torch import nn

from compiler.networks.necks.fpn import FPN


def features(*channels, finest=16):
    return tuple(torch.randn(1, count, finest >> level, finest >> level) for level, count in enumerate(channels))


def test_levels_below_the_start_are_not_used():
    neck = FPN([2, 3, 4], 5, num_outs=2, start_level=1, add_extra_convs="on_input")
    assert [conv.conv.in_channels for conv in neck.lateral_convs] == [3, 4]
    assert [list(output.shape) for output in neck(features(2, 3, 4))] == [[1, 5, 8, 8], [1, 5, 4, 4]]


def test_appended_maps_have_half_the_size_rounded_up():
    neck = FPN([3, 4], 5, num_outs=5, add_extra_convs="on_input")
    assert [output.shape[-1] for output in neck(features(3, 4, finest=12))] == [12, 6, 3, 2, 1]


@pytest.mark.parametrize(("source", "channels"), [("on_input", [5, 5, 4, 5]), ("on_output", [5, 5, 5, 5])])
def test_the_first_appended_map_comes_from_the_coarsest_input_or_output(source, channels):
    neck = FPN([3, 4], 5, num_outs=4, add_extra_convs=source)
    assert [conv.conv.in_channels for conv in neck.fpn_convs] == channels
    inputs = features(3, 4)
    outputs = neck(inputs)
    torch.testing.assert_close(outputs[2], neck.fpn_convs[2](inputs[-1] if source == "on_input" else outputs[1]))
    torch.testing.assert_close(outputs[3], neck.fpn_convs[3](outputs[2]))


def test_coarse_maps_are_added_to_all_finer_ones():
    neck = FPN([1, 1, 1], 1, num_outs=3, add_extra_convs="on_input")
    for module in neck.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.dirac_(module.weight)
            nn.init.zeros_(module.bias)
    fine, middle, coarse = features(1, 1, 1)
    outputs = neck((fine, middle, coarse))
    twice = middle + coarse.repeat_interleave(2, -1).repeat_interleave(2, -2)
    torch.testing.assert_close(outputs[2], coarse)
    torch.testing.assert_close(outputs[1], twice)
    torch.testing.assert_close(outputs[0], fine + twice.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_keys_are_openmmlabs():
    neck = FPN([3], 5, num_outs=2, add_extra_convs="on_output", norm_cfg={"type": "BN"})
    keys = {key.removesuffix(".weight") for key in neck.state_dict() if key.endswith(".weight")}
    convs = ("lateral_convs.0", "fpn_convs.0", "fpn_convs.1")
    assert keys == {f"{conv}.{part}" for conv in convs for part in ("conv", "bn")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FPN([3, 4], 5, num_outs=3, add_extra_convs="on_lateral"), "add_extra_convs 'on_lateral'"),
        (lambda: FPN([3, 4], 5, num_outs=1, add_extra_convs="on_input"), "num_outs 1 must be at least 2"),
    ],
)
def test_what_is_not_supported_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
