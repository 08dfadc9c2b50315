import numpy as np
import onnx
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


SHUFFLES = {
    f"{groups} groups of {kind}": (Shuffled(groups), (2, 12, *image))
    for groups in (2, 3, 4)
    for kind, image in {"pixels": (5, 7), "a sequence": (6,)}.items()
}
SPLITS = {
    f"split into {sizes}": (Shuffled(2, lambda x, sizes=sizes: x.split(sizes, dim=1)), (2, 12, 5, 7))
    for sizes in ((6, 6), (2, 10), (3, 4, 5))
}
OTHER_SPLITS = {
    "also an output": lambda x: (x, *x.chunk(2, dim=1)),
    "also used whole": lambda x: (x.sum(), *x.chunk(2, dim=1)),
    "split along another axis": lambda x: x.split(3, dim=2),
}
NO_SHUFFLES = {
    "with pixels": lambda x: x.unflatten(1, (2, -1)).transpose(1, 3).flatten(1, 2),
    "of pixels": lambda x: x.unflatten(2, (2, -1)).transpose(2, 3).flatten(2, 3),
    "not merged": lambda x: x.unflatten(1, (2, -1)).transpose(1, 2),
    "merged with pixels": lambda x: x.unflatten(1, (2, -1)).transpose(1, 2).flatten(2, 3),
    "needed in groups": lambda x: (grouped := x.unflatten(1, (2, -1)), grouped.transpose(1, 2).flatten(1, 2)),
}


@pytest.fixture(scope="module")
def models(export_each):
    """All networks of this file, exported together. Not to be changed."""
    return export_each(
        {
            **SHUFFLES,
            **SPLITS,
            **{name: (Shuffled(2, then), (2, 12, 6, 7)) for name, then in OTHER_SPLITS.items()},
            **{name: (Rearranged(rearrange), (2, 12, 6, 6)) for name, rearrange in NO_SHUFFLES.items()},
            "two": (nn.Sequential(Shuffled(2, lambda x: x), Shuffled(3)), (2, 12, 5, 7)),
        }
    )


@pytest.mark.parametrize("name", SHUFFLES)
def test_a_shuffle_becomes_a_gather(models, run, operators, name):
    changed, entry = apply_graph_rewriter(models[name], gather_shuffled_channels, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert operators(changed) == ["Sigmoid", "Gather", "Add"]
    assert_equal_outputs(run, models[name], changed, torch.randn(3, *SHUFFLES[name][1][1:]))


@pytest.mark.parametrize("name", SPLITS)
def test_the_parts_of_a_split_are_gathered_one_by_one(models, run, operators, name):
    changed, entry = apply_graph_rewriter(models[name], gather_shuffled_channels, TARGET)
    assert (entry.status, entry.times) == ("fired", 1)
    assert operators(changed) == ["Sigmoid", *["Gather"] * len(models[name].graph.output)]
    assert_equal_outputs(run, models[name], changed, torch.randn(3, 12, 5, 7))


@pytest.mark.parametrize("name", OTHER_SPLITS)
def test_other_splits_stay_splits(models, run, operators, name):
    changed, _ = apply_graph_rewriter(models[name], gather_shuffled_channels, TARGET)
    assert [operators(changed).count(operator) for operator in ("Gather", "Split", "Transpose")] == [1, 1, 0]
    assert_equal_outputs(run, models[name], changed, torch.randn(3, 12, 6, 7))


def test_each_of_several_shuffles_is_replaced(models, run, operators):
    changed, entry = apply_graph_rewriter(models["two"], gather_shuffled_channels, TARGET)
    assert entry.times == 2
    assert operators(changed) == ["Sigmoid", "Gather", "Sigmoid", "Gather", "Add"]
    assert_equal_outputs(run, models["two"], changed, torch.randn(3, 12, 5, 7))


@pytest.mark.parametrize("name", NO_SHUFFLES)
def test_what_is_no_shuffle_of_channels_stays(models, name):
    same, entry = apply_graph_rewriter(models[name], gather_shuffled_channels, TARGET)
    assert same is models[name]
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def test_a_graph_that_does_not_tell_its_shapes_stays(models):
    model = onnx.ModelProto()
    model.CopyFrom(models["2 groups of pixels"])
    assert apply_graph_rewriter(model, gather_shuffled_channels, TARGET)[1].status == "fired"
    del model.graph.value_info[:]
    assert apply_graph_rewriter(model, gather_shuffled_channels, TARGET)[0] is model


def test_other_backends_keep_the_shuffle():
    (entry,) = select([gather_shuffled_channels], Target("tensorrt")).entries
    assert entry.reason == "backend is tensorrt, not onnxruntime"
