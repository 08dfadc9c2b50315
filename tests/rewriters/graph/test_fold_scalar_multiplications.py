import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rewriters import Target, select
from rewriters.apply import apply_graph_rewriter
from rewriters.graph.fold_scalar_multiplications import fold_scalar_multiplications

TARGET = Target("onnxruntime")


class ScaleNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.g = nn.Parameter(torch.tensor([1.7]))
        self.linear = nn.Linear(8, 4, bias=False)

    def forward(self, x):
        norm = torch.linalg.norm(x, dim=-1, keepdim=True) * 8**-0.5
        return self.linear(x / norm.clamp(min=1e-5) * self.g)


class SquaredReluAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.output = nn.Linear(8, 4, bias=False)

    def forward(self, x):
        similarity = torch.bmm(x, x.permute(0, 2, 1)) / 2.5
        return self.output(x * torch.bmm(torch.square(F.relu(similarity)), x))


class Scaled(nn.Module):
    """Multiplies by a number, then does what the test says."""

    def __init__(self, then, factor=3.0):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.then = then
        self.factor = factor

    def forward(self, x):
        return self.then(self.linear, torch.sin(x) * self.factor)


def check(run, model, changed, *inputs):
    """Hold the contract on the model's outputs."""
    for before, after in zip(run(model, *inputs), run(changed, *inputs), strict=True):
        assert fold_scalar_multiplications.contract.holds(float(np.abs(before - after).max()))


THAT_STAY = {
    "graph output": (lambda linear, x: x, 3.0),
    "used twice": (lambda linear, x: linear(x) + x, 3.0),
    "tanh": (lambda linear, x: linear(torch.tanh(x)), 3.0),
    "negative and ReLU": (lambda linear, x: linear(F.relu(x)), -3.0),
    "negative and clamp": (lambda linear, x: linear(x.clamp(min=0.1)), -3.0),
    "tiny": (lambda linear, x: linear(x), 1e-9),
}


@pytest.fixture(scope="module")
def models(export_each):
    """All networks of this file, exported together. Not to be changed."""
    networks = {
        "norm": ScaleNorm(),
        "attention": SquaredReluAttention(),
        "shared weight": Scaled(
            lambda linear, x: F.linear(x, linear.weight) + F.linear(torch.cos(x * 0 + 1), linear.weight)
        ),
        "vector": Scaled(lambda linear, x: linear(x), torch.rand(8) + 1),
        **{name: Scaled(*arguments) for name, arguments in THAT_STAY.items()},
    }
    return export_each({name: (network, (2, 5, 8)) for name, network in networks.items()})


def test_the_scale_and_the_gain_of_a_norm_move_into_the_linear_layer(models, run, operators):
    changed, entry = apply_graph_rewriter(models["norm"], fold_scalar_multiplications, TARGET)
    assert (entry.status, entry.times) == ("fired", 2)
    assert operators(changed) == ["ReduceL2", "Clip", "Div", "MatMul"]
    check(run, models["norm"], changed, torch.randn(3, 5, 8))


def test_a_norm_below_its_smallest_value_is_still_clamped(models, run):
    changed, _ = apply_graph_rewriter(models["norm"], fold_scalar_multiplications, TARGET)
    check(run, models["norm"], changed, torch.full((2, 5, 8), 1e-7))
    check(run, models["norm"], changed, torch.zeros(2, 5, 8))


def test_the_division_of_an_attention_passes_its_relu_and_its_square(models, run, operators):
    changed, entry = apply_graph_rewriter(models["attention"], fold_scalar_multiplications, TARGET)
    assert entry.times == 1
    assert "Div" in operators(models["attention"])
    assert "Div" not in operators(changed)
    check(run, models["attention"], changed, torch.randn(3, 5, 8))


@pytest.fixture(scope="module")
def norm(models):
    return models["norm"], apply_graph_rewriter(models["norm"], fold_scalar_multiplications, TARGET)[0]


@given(seed=st.integers(0, 999), magnitude=st.sampled_from([1e-6, 1e-3, 1.0, 1e3]), batch=st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_the_contract_holds_on_inputs_of_any_size(norm, run, seed, magnitude, batch):
    model, changed = norm
    input = torch.randn(batch, 5, 8, generator=torch.Generator().manual_seed(seed)) * magnitude
    check(run, model, changed, input)


def test_a_weight_that_others_use_too_keeps_its_value_for_them(models, run):
    changed, _ = apply_graph_rewriter(models["shared weight"], fold_scalar_multiplications, TARGET)
    check(run, models["shared weight"], changed, torch.randn(3, 5, 8))


@pytest.mark.parametrize("name", THAT_STAY)
def test_a_factor_that_nothing_behind_it_can_absorb_stays(models, name):
    same, entry = apply_graph_rewriter(models[name], fold_scalar_multiplications, TARGET)
    assert same is models[name]
    assert (entry.status, entry.reason) == ("skipped", "pattern not found")


def test_a_vector_of_factors_stays(models):
    assert apply_graph_rewriter(models["vector"], fold_scalar_multiplications, TARGET)[0] is models["vector"]


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_it_is_for_full_precision_only(precision):
    assert select([fold_scalar_multiplications], Target("onnxruntime", precision=precision)).graphs == ()
