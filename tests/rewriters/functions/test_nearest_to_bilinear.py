import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rewriters import Target, select
from rewriters.apply import rewriting, rewritten
from rewriters.functions.nearest_to_bilinear import nearest_to_bilinear

TARGET = Target("tensorrt", algo="dbnet")


def run(network, input):
    applied = rewritten(network, select([nearest_to_bilinear], TARGET))
    with rewriting(applied, measure=True) as ledger:
        return applied.network(input), ledger.entries()[0]


@pytest.mark.parametrize("size", [{"scale_factor": 2}, {"size": (10, 14)}])
def test_nearest_becomes_bilinear(size):
    input = torch.randn(2, 3, 5, 7)
    output, entry = run(nn.Upsample(**size), input)
    assert torch.equal(output, F.interpolate(input, mode="bilinear", align_corners=False, **size))
    assert (entry.status, entry.times) == ("fired", 1)
    assert entry.max_absolute_error > 0
    assert entry.holds


def test_a_constant_image_stays_constant():
    output, entry = run(nn.Upsample(scale_factor=2), torch.full((1, 1, 4, 4), 3.0))
    assert torch.equal(output, torch.full((1, 1, 8, 8), 3.0))
    assert entry.max_absolute_error == 0


@pytest.mark.parametrize(
    ("network", "shape", "reason"),
    [
        (nn.Upsample(scale_factor=2, mode="bicubic"), (1, 1, 4, 4), "mode is not nearest"),
        (nn.Upsample(scale_factor=2, mode="nearest-exact"), (1, 1, 4, 4), "mode is not nearest"),
        (nn.Upsample(scale_factor=2), (1, 1, 4), "the input has 3 dimensions, and bilinear needs 4"),
    ],
)
def test_anything_else_stays_as_it_is(network, shape, reason):
    input = torch.randn(shape)
    output, entry = run(network, input)
    assert torch.equal(output, network(input))
    assert (entry.status, entry.reason) == ("skipped", reason)


@pytest.mark.parametrize(
    ("target", "chosen"),
    [
        (Target("tensorrt_rtx", algo="panet"), True),
        (Target("onnxruntime", algo="dbnet"), False),
        (Target("tensorrt", algo="simcc"), False),
    ],
)
def test_it_is_for_text_detection_on_tensorrt(target, chosen):
    assert bool(select([nearest_to_bilinear], target).functions) == chosen


def test_the_exported_graph_resizes_linearly(export):
    applied = rewritten(nn.Sequential(nn.Upsample(scale_factor=2)), select([nearest_to_bilinear], TARGET))
    with rewriting(applied):
        model = export(applied.network, torch.randn(2, 3, 5, 7))
    (resize,) = [node for node in model.graph.node if node.op_type == "Resize"]
    assert b"linear" in [attribute.s for attribute in resize.attribute]
