import torch
from torch import nn

from compiler.networks.layers.pillars import PointPillarsScatter as Scatter
from compiler.networks.layers.pillars_rewriters import fix_number_of_items
from rewriters import Target, select
from rewriters.apply import rewriting, rewritten

COORS = torch.tensor([[0, 0, 1, 2], [0, 0, 0, 0], [1, 0, 1, 2]], dtype=torch.int32)
READ_FROM_DATA = "aten.item.default"
PILLARS = torch.arange(6.0).view(3, 2)


def applied(network, batch):
    return rewritten(network, select([fix_number_of_items], Target("onnxruntime", batch=batch)))


def operators(network):
    exported = torch.export.export(network, (PILLARS, COORS), strict=False)
    return {str(node.target) for node in exported.graph.nodes}


def test_a_fixed_batch_is_no_longer_read_from_the_data():
    network = nn.Sequential(Scatter(2, (2, 3)))
    original, fixed = network[0], applied(network, 2).network[0]
    assert torch.equal(fixed(PILLARS, COORS), original(PILLARS, COORS))
    assert READ_FROM_DATA in operators(original) - operators(fixed)
    assert original.items is None  # it stays as it is


def test_a_batch_that_is_not_full_gets_empty_images():
    fixed = applied(nn.Sequential(Scatter(2, (2, 3))), 4).network[0]
    assert fixed(PILLARS, COORS).shape == (4, 2, 2, 3)
    assert fixed(PILLARS, COORS)[2:].count_nonzero() == 0


def test_it_changes_nothing():
    result = applied(Scatter(2, (2, 3)), 2)
    with rewriting(result, measure=True) as ledger:
        result.network(PILLARS, COORS)
    (entry,) = ledger.entries()
    assert (entry.status, entry.max_absolute_error) == ("fired", 0)


class PointPillarsScatter(nn.Module):
    """Somebody else's, of the same name."""

    items = None


def test_a_batch_that_varies_is_left_alone():
    result = applied(nn.Sequential(Scatter(2, (2, 3))), None)
    assert not result.replacements
    assert [skipped.reason for skipped in result.skipped] == ["the batch varies"]


def test_a_namesake_is_not_even_met():
    result = applied(nn.Sequential(PointPillarsScatter()), 2)
    assert (result.replacements, result.skipped) == ((), ())
