import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from compiler.networks.layers.csp import SPPBottleneck
from compiler.networks.layers.csp_rewriters import CascadedPooling, spp_to_cascaded_pooling
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten

SELECTION = select([spp_to_cascaded_pooling], Target("onnxruntime"))


def pyramid(poolings):
    """One of ours, whose poolings are others."""
    network = SPPBottleneck(4, 4, [5] * len(poolings))
    network.poolings = nn.ModuleList(poolings)
    return network.eval()


def pools(*sizes):
    return [nn.MaxPool2d(size, stride=1, padding=size // 2) for size in sizes]


def windows(network):
    return [pooling.kernel_size for pooling in network.poolings]


def test_pools_of_5_9_and_13_become_three_chained_pools_of_5():
    network = pyramid(pools(5, 9, 13))
    applied = rewritten(network, SELECTION)
    assert isinstance(applied.network, CascadedPooling)
    assert windows(applied.network) == [5, 5, 5]
    assert applied.network.state_dict().keys() == network.state_dict().keys()


@settings(deadline=None)
@given(
    steps=st.lists(st.sampled_from([2, 4, 6]), min_size=1, max_size=4),
    height=st.integers(1, 16),
    width=st.integers(1, 16),
    seed=st.integers(0, 99),
)
def test_the_contract_holds_at_the_borders_of_any_image(steps, height, width, seed):
    sizes = [1 + sum(steps[: index + 1]) for index in range(len(steps))]
    torch.manual_seed(seed)
    applied = rewritten(pyramid(pools(*sizes)), SELECTION)
    with rewriting(applied, measure=True) as ledger:
        applied.network(torch.randn(2, 4, height, width))
    (entry,) = ledger.entries()
    assert (entry.status, entry.max_absolute_error, entry.holds) == ("fired", 0.0, True)


@pytest.mark.parametrize(
    ("poolings", "reason"),
    [
        (pools(9, 5, 13), "the kernel sizes [9, 5, 13] do not increase"),
        (pools(5, 5), "the kernel sizes [5, 5] do not increase"),
        (pools(5, 8), "the kernel sizes [5, 8] are not all odd"),
        ([nn.MaxPool2d(5, stride=2, padding=2)], "stride of a max-pool is 2, not 1"),
        ([nn.MaxPool2d(5, stride=1, padding=1)], "padding of a max-pool is 1, not 2"),
        ([nn.MaxPool2d(5, stride=1, padding=2, dilation=2)], "dilation of a max-pool is 2, not 1"),
        ([nn.MaxPool2d(5, stride=1, padding=2, ceil_mode=True)], "ceil_mode of a max-pool is True, not False"),
        ([nn.MaxPool2d((5, 3), stride=1, padding=1)], "the window (5, 3) of a max-pool is not square"),
        ([nn.AvgPool2d(5, stride=1, padding=2)], "a pooling is not a MaxPool2d"),
    ],
)
def test_anything_else_is_skipped_with_a_reason(poolings, reason):
    applied = rewritten(pyramid(poolings), SELECTION)
    assert applied.replacements == ()
    assert [skipped.reason for skipped in applied.skipped] == [reason]


class Weighted(SPPBottleneck):
    def forward(self, x):
        return super().forward(x) * 2


class Namesake(nn.Identity):
    """Somebody else's."""


Namesake.__name__ = "SPPBottleneck"


def test_a_class_that_derives_from_it_is_skipped_and_a_namesake_is_not_even_met():
    applied = rewritten(nn.Sequential(Weighted(4, 4), Namesake()), SELECTION)
    assert applied.replacements == ()
    assert [(skipped.where, skipped.reason) for skipped in applied.skipped] == [
        ("0", "nobody knows how Weighted differs from an SPPBottleneck")
    ]
