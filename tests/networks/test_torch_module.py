"""Any PyTorch module: found by its name, called by the names of its arguments, its outputs flattened."""

from __future__ import annotations

import sys
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from compiler.errors import CompileError, UsageError
from compiler.networks.torch_module import TorchModule, flattened

NETS = """
from torch import nn

class Net(nn.Module):
    class Inner(nn.Module):
        def forward(self, x):
            return x

    def __init__(self, width, depth=1):
        super().__init__()
        self.layer = nn.Linear(width, 2)

    def forward(self, x, mask=None):
        return self.layer(x)

def build(width=3):
    return Net(width)

def fails():
    raise KeyError("no weights here")

def number():
    return 3

def anything(**kwargs):
    return nn.Identity()

constant = 3
ready = Net(3)
"""


@pytest.fixture
def nets(tmp_path, monkeypatch):
    """A module of the user's in the current folder."""
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path / "nets.py"
    sys.modules.pop("nets", None)


@pytest.mark.parametrize(
    ("target", "kwargs"),
    [("nets:build", {}), ("nets.build", {"width": 3}), ("nets:Net", {"width": 3}), ("nets:ready", {})],
)
def test_a_network_is_made_by_a_function_a_class_or_is_there(nets, target, kwargs):
    network = TorchModule(target, ["x"], kwargs).eval()
    (output,) = network(torch.ones(5, 3))
    assert output.shape == (5, 2)
    assert list(network.get_submodule("module").state_dict()) == ["layer.weight", "layer.bias"]


def test_a_class_within_a_class_is_found(nets):
    assert TorchModule("nets:Net.Inner", ["x"])(torch.ones(1))[0] == 1


def test_what_a_network_draws_at_random_while_it_is_built_is_always_the_same(nets):
    one, other = (TorchModule("nets:build", ["x"]).state_dict() for _ in range(2))
    assert all(torch.equal(tensor, other[key]) for key, tensor in one.items())


@pytest.mark.parametrize(
    ("target", "kwargs", "what", "why"),
    [
        ("", {}, "target is missing", ""),
        ("nets", {}, "names no module and callable", ""),
        ("nets:", {}, "names no module and callable", ""),
        ("nothere:build", {}, "nothere cannot be imported", "No module named 'nothere'"),
        ("nets:biuld", {}, "nets has no 'biuld'", ""),
        ("nets:constant", {}, "not callable", "it is a int"),
        ("nets:Net", {}, "cannot be called so", "missing a required argument: 'width'"),
        ("nets:build", {"with": 3}, "cannot be called so", "unexpected keyword argument 'with'"),
        ("nets:fails", {}, "nets:fails fails", "KeyError: 'no weights here'"),
        ("nets:number", {}, "makes no torch.nn.Module", "it returns a int"),
    ],
)
def test_a_target_that_makes_no_network_is_refused(nets, target, kwargs, what, why):
    with pytest.raises(UsageError, match=what) as caught:
        TorchModule(target, ["x"], kwargs)
    assert why in caught.value.why
    assert caught.value.where in ("model.target", "model.kwargs")


def test_a_misspelt_target_is_told_the_nearest(nets):
    with pytest.raises(UsageError) as caught:
        TorchModule("nets:biuld", ["x"])
    assert caught.value.fix == "did you mean build?"


def test_a_module_that_fails_when_it_is_imported_is_refused(nets):
    nets.write_text("import nothing_of_this_name")
    with pytest.raises(UsageError, match="nets cannot be imported") as caught:
        TorchModule("nets:build", ["x"])
    assert "nothing_of_this_name" in caught.value.why


@pytest.mark.parametrize(
    ("inputs", "what", "why"),
    [
        (["y"], "no argument 'y'", "it takes x, mask"),
        (["mask"], "needs the argument 'x'", "it takes x, mask"),
    ],
)
def test_inputs_are_the_arguments_of_forward(nets, inputs, what, why):
    with pytest.raises(UsageError, match=what) as caught:
        TorchModule("nets:build", inputs)
    assert caught.value.why == why


def test_timm_makes_its_models_by_name(monkeypatch):
    made = {}
    monkeypatch.setitem(
        sys.modules,
        "timm",
        SimpleNamespace(create_model=lambda name, **kwargs: made.update({name: kwargs}) or nn.ReLU()),
    )
    TorchModule("timm:resnet18", ["input"], {"num_classes": 10})
    assert made == {"resnet18": {"num_classes": 10}}


def test_where_timm_is_not_installed_it_is_said_how(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match="timm cannot be imported") as caught:
        TorchModule("timm:resnet18", ["input"])
    assert caught.value.fix == "install it: pip install timm"


@dataclass
class Outputs:
    boxes: torch.Tensor
    scores: torch.Tensor | None = None


Pair = namedtuple("Pair", "left right")
ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (ONE, ["output"]),
        ((ONE, [ONE, ONE]), ["output_0", "output_1_0", "output_1_1"]),
        ({"a": ONE, "b": (ONE,)}, ["output_a", "output_b_0"]),
        (Pair(ONE, ONE), ["output_left", "output_right"]),
        (Outputs(ONE, ONE), ["output_boxes", "output_scores"]),
        (Outputs(ONE), ["output_boxes"]),
    ],
)
def test_every_tensor_has_a_name_made_of_what_leads_to_it(value, names):
    assert [name for name, _ in flattened(value, "output")] == names


def test_the_names_of_a_dictionary_are_its_keys():
    assert [name for name, _ in flattened({"a": ONE, "b": [ONE]}, "")] == ["a", "b_0"]


@pytest.mark.parametrize("value", [3, "text", {ONE}, [ONE, 3.0], {"a": object()}])
def test_what_is_no_tensor_is_no_output(value):
    with pytest.raises(CompileError, match="something else than tensors"):
        list(flattened(value, "output"))
