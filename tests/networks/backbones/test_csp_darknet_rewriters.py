import torch

from compiler.networks.backbones.csp_darknet import Focus
from compiler.networks.backbones.csp_darknet_rewriters import focus_to_pixel_unshuffle
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten

SELECTION = select([focus_to_pixel_unshuffle], Target("ncnn", ir="torchscript"))


def run(network, input):
    applied = rewritten(network.eval(), SELECTION)
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        return applied.network(input), ledger.entries()[0]


def test_a_focus_becomes_a_pixel_unshuffle():
    network = Focus(3, 5, 3, norm_cfg={"type": "BN"}, act_cfg={"type": "SiLU"})
    input = torch.randn(2, 3, 8, 6)
    output, entry = run(network, input)
    assert (entry.status, entry.holds) == ("fired", True)
    torch.testing.assert_close(output, network(input), rtol=0, atol=1e-6)


def test_each_pixel_of_a_square_goes_to_its_own_weight():
    network = Focus(2, 1)
    network.conv.conv.weight.data = torch.arange(8.0).reshape(1, 8, 1, 1)
    input = torch.randn(1, 2, 2, 2)
    output, _ = run(network, input)
    # Column by column, and in each of its pixels channel by channel: the order of the paper's code.
    pixels = torch.cat([input[0, :, row, column] for column in (0, 1) for row in (0, 1)])
    torch.testing.assert_close(output.flatten(), (pixels * torch.arange(8.0)).sum()[None] + network.conv.conv.bias)


def test_a_class_of_the_users_stays():
    class Own(Focus):
        pass

    network, input = Own(3, 4), torch.randn(1, 3, 4, 4)
    output, entry = run(network, input)
    assert torch.equal(output, network(input))
    assert entry.reason == "nobody knows how Own differs from a Focus"
