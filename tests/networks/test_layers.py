"""The bricks, each against a formula of its own."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from compiler.networks.backbones.cspnext import CSPNeXt
from compiler.networks.heads.rtmcc import RTMCCHead
from compiler.networks.layers.attention import GatedAttentionUnit, RotaryEmbedding, ScaleNorm
from compiler.networks.layers.conv import ConvModule, build_activation, build_norm
from compiler.networks.layers.csp import ChannelAttention, CSPLayer, CSPNeXtBlock, SPPBottleneck
from compiler.networks.pose import TopdownPoseEstimator

# One item of MMPose 1.3.2's RTMCCBlock(5, 8, 8, s=4, act_fn="SiLU", use_rel_bias=True, pos_enc=True) with the
# weights of tests/parity/weights.py, on its image("gau", (1, 5, 8)): first and last token.
FIRST_TOKEN = [4.3908095, -6.9413757, 2.7249546, 2.6442578, -2.4722428, 5.1721549, -1.0395596, 3.9251847]
LAST_TOKEN = [2.3468499, -2.7953975, 1.5801271, 1.6798806, -0.9064943, 2.9025579, -0.0031310, 2.2900493]


def test_gated_attention_unit_equals_mmposes_with_position_encodings(weights):
    unit = GatedAttentionUnit(5, 8, 8, s=4, act_fn="SiLU", use_rel_bias=True, pos_enc=True)
    unit.load_state_dict(weights.fill(unit.state_dict()))
    tokens = unit(torch.from_numpy(weights.image("gau", (1, 5, 8))))[0].detach().numpy()
    np.testing.assert_allclose(tokens[0], FIRST_TOKEN, atol=2e-5)
    np.testing.assert_allclose(tokens[-1], LAST_TOKEN, atol=2e-5)


def test_gated_attention_unit_has_openmmlabs_keys():
    keys = list(GatedAttentionUnit(5, 8, 8, s=4, use_rel_bias=False).state_dict())
    assert keys == ["gamma", "beta", "o.weight", "uv.weight", "ln.g", "res_scale.scale"]
    assert list(GatedAttentionUnit(5, 8, 8, s=4).state_dict()) == ["w", *keys]
    assert GatedAttentionUnit(5, 8, 8, s=4, pos_enc=True).state_dict().keys() == {"w", *keys}


def test_gated_attention_unit_has_no_shortcut_between_different_lengths():
    unit = GatedAttentionUnit(5, 8, 6, s=4)
    assert "res_scale.scale" not in unit.state_dict()
    assert unit(torch.zeros(2, 5, 8)).shape == (2, 5, 6)


def test_relative_bias_depends_on_the_distance_alone():
    unit = GatedAttentionUnit(3, 8, 8, s=4)
    with torch.no_grad():
        unit.w.copy_(torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0]))
    assert unit.relative_bias().tolist() == [[0, 1, 2], [-1, 0, 1], [-2, -1, 0]]


@pytest.mark.parametrize(
    ("options", "has_bias"),
    [
        ({}, True),
        ({"norm_cfg": {"type": "BN"}}, False),
        ({"bias": False}, False),
        ({"norm_cfg": {"type": "BN"}, "bias": True}, True),
    ],
)
def test_a_convolution_has_a_bias_where_it_is_asked_for_or_nothing_follows(options, has_bias):
    assert ("conv.bias" in ConvModule(2, 3, 1, **options).state_dict()) == has_bias


def test_rotary_embedding_keeps_lengths_and_leaves_the_first_token():
    tokens = torch.randn(2, 4, 2, 6)
    rotated = RotaryEmbedding(4, 6)(tokens)
    torch.testing.assert_close(rotated[:, 0], tokens[:, 0])
    torch.testing.assert_close(rotated.norm(dim=-1), tokens.norm(dim=-1))


def test_scale_norm_divides_by_the_root_mean_square_and_survives_zero():
    norm = ScaleNorm(4)
    torch.testing.assert_close(norm(torch.tensor([[3.0, 3.0, -3.0, 3.0]])), torch.tensor([[1.0, 1.0, -1.0, 1.0]]))
    assert norm(torch.zeros(1, 4)).tolist() == [[0, 0, 0, 0]]


def test_channel_attention_scales_each_channel_by_its_gate():
    attention = ChannelAttention(2)
    nn.init.zeros_(attention.fc.weight)
    attention.fc.bias.data = torch.tensor([0.0, -9.0])
    gated = attention(torch.ones(1, 2, 3, 3))
    torch.testing.assert_close(gated[0, 0], torch.full((3, 3), 0.5))
    assert gated[0, 1].count_nonzero() == 0


def test_spp_bottleneck_holds_its_poolings_where_a_rewriter_looks_for_them():
    spp = SPPBottleneck(8, 6, (3, 5))
    assert [type(pooling) for pooling in spp.poolings] == [nn.MaxPool2d] * 2
    assert spp.conv2.conv.in_channels == 12
    assert spp(torch.zeros(1, 8, 7, 7)).shape == (1, 6, 7, 7)


def test_block_adds_its_input_only_where_channels_agree():
    assert CSPNeXtBlock(4, 4).add_identity
    assert not CSPNeXtBlock(4, 6).add_identity
    assert not CSPNeXtBlock(4, 4, add_identity=False).add_identity


def test_csp_layer_without_attention_has_no_weights_for_it():
    assert not [key for key in CSPLayer(4, 4).state_dict() if key.startswith("attention")]


def test_conv_module_has_a_bias_only_without_a_norm():
    assert ConvModule(3, 4, 1).conv.bias is not None
    assert ConvModule(3, 4, 1, norm_cfg={"type": "BN"}).conv.bias is None
    assert list(ConvModule(3, 4, 1, act_cfg={"type": "ReLU"}).state_dict()) == ["conv.weight", "conv.bias"]


def test_norm_takes_what_a_training_config_holds():
    norm = build_norm({"type": "SyncBN", "requires_grad": True, "momentum": 0.03, "eps": 0.001}, 8)
    assert type(norm) is nn.BatchNorm2d
    assert (norm.num_features, norm.eps, norm.momentum) == (8, 0.001, 0.03)


def test_activation_is_never_in_place():
    assert not build_activation({"type": "SiLU", "inplace": True}).inplace


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: build_norm({"type": "GN"}, 8), "normalisation 'GN' is not supported"),
        (lambda: build_activation({"type": "Swishy"}), "activation 'Swishy' is not supported"),
        (lambda: CSPNeXt(arch="P7"), "arch 'P7' is not supported"),
        (lambda: CSPNeXt(out_indices=[5]), "out_indices"),
        (lambda: RTMCCHead(8, 17, (64, 64), (2, 2), gau_cfg={"hidden": 8}), "gau_cfg: .*'hidden'"),
    ],
)
def test_what_is_not_supported_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_cspnext_gives_the_outputs_asked_for():
    network = CSPNeXt(arch="P6", widen_factor=0.125, deepen_factor=0.1, out_indices=(0, 2, 5)).eval()
    with torch.no_grad():
        shapes = [list(output.shape) for output in network(torch.zeros(1, 3, 128, 64))]
    assert shapes == [[1, 8, 64, 32], [1, 32, 16, 8], [1, 128, 2, 1]]


def test_head_rounds_the_number_of_bins_down():
    head = RTMCCHead(4, 3, (10, 7), (2, 2), simcc_split_ratio=1.5, gau_cfg={"hidden_dims": 8, "s": 4})
    simcc_x, simcc_y = head((torch.zeros(1, 4, 2, 2),))
    assert (simcc_x.shape[-1], simcc_y.shape[-1]) == (15, math.floor(10.5))


def test_estimator_runs_its_neck_between_backbone_and_head():
    class Add(nn.Module):
        def forward(self, features):
            return tuple(feature + 1 for feature in features)

    class Wrap(nn.Module):
        def forward(self, image):
            return (image,)

    estimator = TopdownPoseEstimator(Wrap(), nn.Identity(), Add())
    assert estimator(torch.zeros(1))[0].item() == 1
    assert not list(TopdownPoseEstimator(Wrap(), nn.Identity()).state_dict())
