import numpy as np
import pytest
import torch
from torch import nn

from rewriters import Target, select
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.gather_shuffled_channels import gather_shuffled_channels

TARGET = Target("onnxruntime")


class Shuffled(nn.Module):
    """Channels interleaved by groups, as ShuffleNet does it, then handed on."""

    def __init__(self, groups, then=lambda x: x + 1):
        super().__init__()
        self.groups = groups
        self.then = then

    def forward(self, x):
        x = x.sigmoid()
        return self.then(x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2))


class Rearranged(nn.Module):
    """Something alike that is no shuffle of channels."""

    def __init__(self, rearrange):
        super().__init__()
        self.rearrange = rearrange

    def forward(self, x):
        return self.rearrange(x.sigmoid())


def assert_equal_outputs(run, model, changed, input):
    for before, after in zip(run(model, input), run(changed, input), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("groups", [2, 3, 4])
@pytest.mark.parametrize("image", [(5, 7), (6,)], ids=["pixels", "a sequence"])
def test_a_shuffle_becomes_a_gather(export, run, operators, groups, image):
    model = export(Shuffled(groups), torch.randn(2, 12, *image))
    changed, entry = apply_graph_rewriter(model, gather_shuffled_channels, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert operators(changed) == ["Sigmoid", "Gather", "Add"]
    assert_equal_outputs(run, model, changed, torch.randn(3, 12, *image))


@pytest.mark.parametrize("sizes", [(6, 6), (2, 10), (3, 4, 5)])
def test_the_parts_of_a_split_are_gathered_one_by_one(export, run, operators, sizes):
    model = export(Shuffled(2, lambda x: x.split(sizes, dim=1)), torch.randn(2, 12, 5, 7))
    changed, entry = apply_graph_rewriter(model, gather_shuffled_channels, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert operators(changed) == ["Sigmoid", *["Gather"] * len(sizes)]
    assert_equal_outputs(run, model, changed, torch.randn(3, 12, 5, 7))


@pytest.mark.parametrize(
    "then",
    [lambda x: (x, *x.chunk(2, dim=1)), lambda x: (x.sum(), *x.chunk(2, dim=1)), lambda x: x.split(3, dim=2)],
    ids=["also an output", "also used whole", "split along another axis"],
)
def test_other_splits_stay_splits(export, run, operators, then):
    model = export(Shuffled(2, then), torch.randn(2, 12, 6, 7))
    changed, _ = apply_graph_rewriter(model, gather_shuffled_channels, TARGET)
    assert [operators(changed).count(operator) for operator in ("Gather", "Split", "Transpose")] == [1, 1, 0]
    assert_equal_outputs(run, model, changed, torch.randn(3, 12, 6, 7))


def test_each_of_several_shuffles_is_replaced(export, run, operators):
    model = export(nn.Sequential(Shuffled(2, lambda x: x), Shuffled(3)), torch.randn(2, 12, 5, 7))
    changed, entry = apply_graph_rewriter(model, gather_shuffled_channels, TARGET)
    assert entry.times == 2
    assert operators(changed) == ["Sigmoid", "Gather", "Sigmoid", "Gather", "Add"]
    assert_equal_outputs(run, model, changed, torch.randn(3, 12, 5, 7))


@pytest.mark.parametrize(
    "rearrange",
    [
        lambda x: x.unflatten(1, (2, -1)).transpose(1, 3).flatten(1, 2),
        lambda x: x.unflatten(2, (2, -1)).transpose(2, 3).flatten(2, 3),
        lambda x: x.unflatten(1, (2, -1)).transpose(1, 2),
        lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).flatten(2, 3),
        lambda x: (grouped := x.unflatten(1, (2, -1)), grouped.transpose(1, 2).flatten(1, 2)),
    ],
    ids=["with pixels", "of pixels", "not merged", "merged with pixels", "needed in groups"],
)
def test_what_is_no_shuffle_of_channels_stays(export, rearrange):
    model = export(Rearranged(rearrange), torch.randn(2, 12, 6, 6))
    same, entry = apply_graph_rewriter(model, gather_shuffled_channels, TARGET)
    assert same is model
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def test_a_graph_that_does_not_tell_its_shapes_stays(export):
    model = export(Shuffled(2), torch.randn(2, 12, 5, 7))
    del model.graph.value_info[:]
    assert apply_graph_rewriter(model, gather_shuffled_channels, TARGET)[0] is model


def test_other_backends_keep_the_shuffle():
    (entry,) = select([gather_shuffled_channels], Target("tensorrt")).entries
    assert entry.reason == "backend is tensorrt, not onnxruntime"
