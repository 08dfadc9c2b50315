"""A config whose network would never be done, or fill memory, is refused while it is built."""

from __future__ import annotations

import pytest
from torch import nn

from compiler.errors import CompileError
from compiler.networks import build, building_limits
from compiler.networks.building_limits import bounded

HEAD = {
    "_target_": "compiler.networks.heads.rtmdet.RTMDetSepBNHead",
    "num_classes": 2,
    "in_channels": 4,
    "feat_channels": 4,
    "anchor_generator": {"_target_": "compiler.networks.layers.priors.MlvlPointGenerator", "strides": [8, 16]},
}


def test_modules_and_parameters_are_counted_as_they_come(monkeypatch):
    monkeypatch.setattr(building_limits, "MODULES", 10)
    monkeypatch.setattr(building_limits, "PARAMETERS", 110)
    with bounded():
        nn.Sequential(*(nn.ReLU() for _ in range(10)))
        nn.Linear(10, 10)  # 110 numbers
    with pytest.raises(ValueError, match="more than 10 modules"), bounded():
        nn.Sequential(*(nn.ReLU() for _ in range(11)))
    with pytest.raises(ValueError, match="more than 110 parameters"), bounded():
        nn.Linear(10, 11)
    nn.Sequential(*(nn.Linear(10, 10) for _ in range(20)))  # and only then


def test_a_network_that_is_never_done_is_refused_with_its_place(monkeypatch):
    monkeypatch.setattr(building_limits, "MODULES", 500)
    with pytest.raises(CompileError, match="the network cannot be built") as caught:
        build({**HEAD, "stacked_convs": 10**6}, "network.bbox_head")
    assert caught.value.why == "it has more than 500 modules"
    assert "network.bbox_head" in caught.value.where
    assert build({**HEAD, "stacked_convs": 2})


@pytest.mark.parametrize(("key", "value"), [("stacked_convs", 10**9), ("num_classes", 2**62)])
def test_a_number_that_nothing_is_counted_by_is_refused_at_once(key, value):
    with pytest.raises(CompileError, match="the network cannot be built") as caught:
        build({**HEAD, key: value})
    assert caught.value.where == f"network.{key}"


def test_a_layer_that_fills_memory_is_refused_before_its_numbers_are_drawn():
    with pytest.raises(CompileError, match="the network cannot be built"):
        build({**HEAD, "in_channels": 2**14, "feat_channels": 2**14})
