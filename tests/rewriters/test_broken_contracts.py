"""Every built-in rewriter, made to promise too much or to do its work wrongly: its contract is seen to be broken."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from compiler.networks.backbones.csp_darknet import Focus
from compiler.networks.layers.csp import SPPBottleneck
from compiler.networks.layers.pillars import PointPillarsScatter
from rewriters import Contract, Target, discover, select, with_measurement
from rewriters.apply import apply_graph_rewriter, rewriting, rewritten
from tests.rewriters.graph.test_drop_neutral_arithmetic import Does
from tests.rewriters.graph.test_fold_constants import ADD, SCALE
from tests.rewriters.graph.test_fold_constants import model as model_of_constants
from tests.rewriters.graph.test_fold_focus_into_convolution import CONVOLVED, FOCUS, SQUARES
from tests.rewriters.graph.test_fold_focus_into_convolution import model as model_of_focus
from tests.rewriters.graph.test_fold_hard_swish import CLIPPED
from tests.rewriters.graph.test_fold_hard_swish import model as model_of_hard_swish
from tests.rewriters.graph.test_fuse_nms import EXAMPLE as BOXES_AND_SCORES
from tests.rewriters.graph.test_fuse_nms import exported as model_of_detections
from tests.rewriters.graph.test_gather_shuffled_channels import Shuffled
from tests.rewriters.graph.test_gather_whole_rows import BestRows
from tests.rewriters.graph.test_pad_channels import BRANCH, OTHERS
from tests.rewriters.graph.test_pad_channels import model as model_of_channels
from tests.rewriters.graph.test_rejoin_splits import Rejoined
from tests.rewriters.graph.test_settle_reshapes import model as model_of_reshape
from tests.rewriters.graph.test_split_top_k import best_values

REWRITERS = {rewriter.name: rewriter for rewriter in discover("compiler.networks")}


class Upsample(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=2, mode="nearest")


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(x * 0.37)


class Stacked(nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.randn(2, 8)), nn.Parameter(torch.randn(2, 8))

    def forward(self, x):
        first, second = torch.unbind(x.unsqueeze(1) * self.gamma + self.beta, dim=1)
        return first - second.square()


class Scattered(PointPillarsScatter):
    """One pillar of each item, and as many images as it is told."""

    def __init__(self):
        super().__init__(4, (1, 1))

    def forward(self, x):
        coors = torch.zeros(len(x), 4, dtype=torch.int64)
        coors[:, 0] = torch.arange(len(x))
        images = super().forward(x[: self.items], coors[: self.items])
        return F.pad(images, (0, 0, 0, 0, 0, 0, 0, len(x) - len(images)))


def with_a_smaller_last_window(call, module):
    rewritten_module = REWRITERS["spp_to_cascaded_pooling"].body(call, module)
    rewritten_module.poolings[-1] = nn.MaxPool2d(3, stride=1, padding=1)
    return rewritten_module


def with_weights_off(name):
    """Return a body that does what the rewriter does, and then changes the first of the weights."""

    def body(call, module):
        changed = deepcopy(REWRITERS[name].body(call, module))
        with torch.no_grad():
            next(changed.parameters()).mul_(1.01)
        return changed

    return body


def with_outputs_off(call, *args):
    output, *states = REWRITERS["lstm_to_nodes"].body(call, *args)
    return (output + 1e-4, *states)


def with_a_constant_changed(call, graph):
    places = REWRITERS["unbind_before_broadcast"].body(call, graph)
    addition = next(node for node in graph.nodes if node.op == "Add" and "_at_" in node.name)
    addition.inputs[1].values = addition.inputs[1].values + np.float32(1e-3)
    return places


def with_an_output_off(name):
    """Return a body that does what the rewriter does, and then changes the graph's first output."""

    def body(call, graph):
        places = REWRITERS[name].body(call, graph)
        output, raw = graph.outputs[0], gs.Variable("raw", dtype=np.float32)
        last = output.inputs[0]
        last.outputs = [raw if tensor is output else tensor for tensor in last.outputs]
        graph.nodes.append(
            gs.Node("Mul", inputs=[raw, gs.Constant("off", np.array(1.001, np.float32))], outputs=[output])
        )
        return places

    return body


@pytest.mark.parametrize(
    ("network", "input", "name", "changes"),
    [
        (Upsample(), (1, 2, 4, 4), "nearest_to_bilinear", {"contract": Contract.exact}),
        (nn.LSTM(3, 4), (5, 2, 3), "lstm_to_nodes", {"body": with_outputs_off}),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
            (1, 3, 8, 8),
            "fuse_batch_norm",
            {"contract": Contract.exact},
        ),
        (Scattered(), (3, 4), "fix_number_of_items", {}),  # the data has 3 items, the target 2
        (SPPBottleneck(4, 4), (1, 4, 16, 16), "spp_to_cascaded_pooling", {"body": with_a_smaller_last_window}),
        (nn.LSTM(3, 4), (5, 2, 3), "lstm_batch_first", {"body": with_weights_off("lstm_batch_first")}),
        (nn.LeakyReLU(0.1), (2, 3), "leaky_relu_to_prelu", {"body": with_weights_off("leaky_relu_to_prelu")}),
        (Focus(3, 4), (2, 3, 8, 8), "focus_to_pixel_unshuffle", {"body": with_weights_off("focus_to_pixel_unshuffle")}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_on_a_network(network, input, name, changes):
    torch.manual_seed(0)
    broken = replace(REWRITERS[name], **changes)
    example = torch.randn(input)
    target = Target(min(broken.conditions.given.get("backends", {"tensorrt"})), algo="dbnet", batch=2)
    applied = rewritten(network.eval(), select([broken], target), [example])
    with torch.no_grad(), rewriting(applied, measure=True) as ledger:
        applied.network(example)
    (entry,) = ledger.entries()
    assert (entry.status, entry.holds) == ("fired", False)
    assert entry.max_absolute_error > 0


NETWORKS = {
    "fold_scalar_multiplications": (Scaled(), (64, 8)),
    "unbind_before_broadcast": (Stacked(), (64, 8)),
    "gather_shuffled_channels": (Shuffled(2), (64, 12, 5)),
    "gather_whole_rows": (BestRows(), (64, 7, 5)),
    "rejoin_splits": (Rejoined(), (64, 4)),
    "drop_neutral_arithmetic": (Does(torch.add, torch.zeros(4)), (64, 3, 4)),
}


# What is made wrong; of others the first output is.
CHANGES = {
    "fold_scalar_multiplications": {"contract": Contract.exact},
    "unbind_before_broadcast": {"body": with_a_constant_changed},
}


@pytest.fixture(scope="module")
def exported(export_each):
    """The graphs of these networks, exported together."""
    return export_each(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_on_the_graph_of_a_network(name, exported, run):
    assert_broken(exported[name], torch.randn(NETWORKS[name][1]), name, CHANGES.get(name, {}), run)


@pytest.mark.parametrize(
    ("model", "input", "name"),
    [
        (model_of_constants(SCALE, ADD), (4,), "fold_constants"),
        (model_of_reshape(["b", 4, "c"], ["b", 4, "c"], [0, 1], [-1]), (2, 4, 3), "settle_reshapes"),
        (onnx.shape_inference.infer_shapes(best_values(4000)), (2, 5000), "split_top_k"),
        (model_of_channels(BRANCH + OTHERS), (1, 3, 8, 8), "pad_channels"),
        (model_of_focus(FOCUS + SQUARES + CONVOLVED), (2, 3, 12, 8), "fold_focus_into_convolution"),
        (model_of_hard_swish(f"{CLIPPED}  m = Mul (x, c)  y = Div (m, six)"), (2, 4), "fold_hard_swish"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_on_a_graph(model, input, name, run):
    assert_broken(model, torch.randn(input), name, {}, run)


def assert_broken(model, input, name, changes, run):
    broken = replace(REWRITERS[name], **(changes or {"body": with_an_output_off(name)}))
    changed, entry = apply_graph_rewriter(model, broken, Target("onnxruntime"))
    error = max(np.abs(a - b).max() for a, b in zip(run(model, input), run(changed, input), strict=True))
    assert entry.status == "fired"
    assert with_measurement(entry, broken.contract, float(error)).holds is False


@pytest.mark.parametrize(("model", "inputs", "name"), [(model_of_detections, BOXES_AND_SCORES, "fuse_nms")])
def test_on_a_graph_with_several_inputs(model, inputs, name, tmp_path):
    given = model(tmp_path)
    broken = replace(REWRITERS[name], body=with_an_output_off(name))
    changed, entry = apply_graph_rewriter(given, broken, Target("tensorrt"))
    before, after = (onnxruntime.InferenceSession(m.SerializeToString()).run(None, inputs) for m in (given, changed))
    assert entry.status == "fired"
    assert with_measurement(entry, broken.contract, float(np.abs(before[0] - after[0]).max())).holds is False


def test_no_built_in_rewriter_is_left_out():
    marks = [
        mark
        for test in (test_on_a_network, test_on_a_graph, test_on_a_graph_with_several_inputs)
        for mark in test.pytestmark
    ]
    broken = {case[2] for mark in marks for case in mark.args[1]}
    assert broken | NETWORKS.keys() == set(REWRITERS)
