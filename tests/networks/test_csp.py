"""What CSPNeXt and CSPDarknet, and the necks of RTMDet and YOLOX, have in common and where they differ."""

import pytest
import torch
from torch import nn

from compiler.networks.backbones.csp import csp_stages
from compiler.networks.backbones.csp_darknet import CSPDarknet, Focus
from compiler.networks.backbones.cspnext import CSPNeXt
from compiler.networks.layers.csp import CSPLayer, CSPNeXtBlock, DarknetBottleneck
from compiler.networks.necks.csp_pafpn import YOLOXPAFPN, CSPNeXtPAFPN


def test_focus_takes_every_square_column_by_column():
    focus = Focus(1, 4)
    focus.conv = nn.Identity()
    image = torch.tensor([[0.0, 1, 2, 3], [4, 5, 6, 7]])[None, None]
    assert focus(image)[0].tolist() == [[[0, 2]], [[4, 6]], [[1, 3]], [[5, 7]]]


@pytest.mark.parametrize("block", [CSPNeXtBlock, DarknetBottleneck])
def test_block_adds_its_input_only_where_asked_and_possible(block):
    image = torch.randn(1, 4, 6, 6)
    with_identity, without = block(4, 4), block(4, 4, add_identity=False)
    without.load_state_dict(with_identity.state_dict())
    torch.testing.assert_close(with_identity(image), without(image) + image)
    assert block(4, 6)(image).shape == (1, 6, 6, 6)


def test_layer_is_made_of_the_blocks_asked_for():
    assert {type(block) for block in CSPLayer(4, 4, num_blocks=2).blocks} == {CSPNeXtBlock}
    assert {type(block) for block in CSPLayer(4, 4, block=DarknetBottleneck).blocks} == {DarknetBottleneck}


def test_stages_are_scaled_and_never_empty():
    first, second, *_ = csp_stages("P5", middle_blocks=9, widen_factor=0.375, deepen_factor=0.1)
    assert (first.in_channels, first.out_channels, first.num_blocks) == (24, 48, 1)
    assert (second.out_channels, second.num_blocks) == (96, 1)
    assert [stage.num_blocks for stage in csp_stages("P5", 9, 1.0, 0.33)] == [1, 3, 3, 1]


@pytest.mark.parametrize(("arch", "coarsest"), [("P5", 4), ("P6", 5)])
def test_only_the_last_stage_pools_and_has_no_shortcuts(arch, coarsest):
    stages = csp_stages(arch, 6, 1.0, 1.0)
    assert len(stages) == coarsest
    assert [stage.use_spp for stage in stages] == [False] * (coarsest - 1) + [True]
    assert [stage.add_identity for stage in stages] == [True] * (coarsest - 1) + [False]


def test_darknet_has_more_blocks_in_the_middle_and_no_attention():
    darknet, cspnext = CSPDarknet(widen_factor=0.125), CSPNeXt(widen_factor=0.125)
    assert [len(stage[-1].blocks) for stage in (darknet.stage2, cspnext.stage2)] == [9, 6]
    assert not [key for key in darknet.state_dict() if "attention" in key]


def test_darknet_gives_the_outputs_asked_for():
    network = CSPDarknet(arch="P6", widen_factor=0.125, deepen_factor=0.1, out_indices=(0, 2, 5)).eval()
    with torch.no_grad():
        shapes = [list(output.shape) for output in network(torch.zeros(1, 3, 128, 64))]
    assert shapes == [[1, 8, 64, 32], [1, 32, 16, 8], [1, 128, 2, 1]]


@pytest.mark.parametrize(("neck", "side"), [(CSPNeXtPAFPN, 3), (YOLOXPAFPN, 1)])
def test_neck_keeps_the_sizes_and_evens_the_channels(neck, side):
    network = neck([4, 8, 16], 6, num_csp_blocks=1).eval()
    assert {conv.conv.kernel_size for conv in network.out_convs} == {(side, side)}
    outputs = network((torch.zeros(1, 4, 8, 12), torch.zeros(1, 8, 4, 6), torch.zeros(1, 16, 2, 3)))
    assert [list(output.shape) for output in outputs] == [[1, 6, 8, 12], [1, 6, 4, 6], [1, 6, 2, 3]]


@pytest.mark.parametrize("changed", [0, 2])
def test_neck_carries_the_coarsest_map_to_the_finest_and_back(changed):
    network = YOLOXPAFPN([4, 8, 16], 6, num_csp_blocks=1).eval()
    features = [torch.zeros(1, 4, 8, 8), torch.zeros(1, 8, 4, 4), torch.zeros(1, 16, 2, 2)]
    before = network(features)
    features[changed] = torch.ones_like(features[changed])
    assert not any(torch.equal(old, new) for old, new in zip(before, network(features), strict=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CSPDarknet(arch="P7"), "arch 'P7' is not supported, only P5, P6"),
        (lambda: CSPDarknet(widen_factor=0.125, out_indices=[5]), "out_indices .* between 0 and 4"),
        (lambda: YOLOXPAFPN([4, 8], 6, act_cfg={"type": "Mish"}), "activation 'Mish' is not supported"),
        (lambda: CSPNeXtPAFPN([4, 8], 6, norm_cfg={"type": "GN"}), "normalisation 'GN' is not supported"),
    ],
)
def test_what_is_not_supported_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
