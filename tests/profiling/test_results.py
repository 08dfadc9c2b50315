"""What is made of samples: timings, steps as a tree, ratios."""

from __future__ import annotations

import json

import pytest

from compiler.backends import LayerTime
from compiler.config.sizes import InputSize
from compiler.profiling import BundleProfile, Profile, Timing
from compiler.profiling.results import compared, steps_of

INPUT = InputSize(4, (256, 192))
RECORD = {
    ("pipeline",): [4.0, 4.0],
    ("pipeline", "preprocess"): [1.0, 1.0],
    ("pipeline", "network"): [2.0, 2.0],
    ("pipeline", "preprocess", "pad"): [0.5],
}


def a_bundle(label="fp32", rounds=((0.1, 0.3), (0.2, 0.2)), **changes):
    timings = (Timing(INPUT, 0.9, rounds),)
    layers = (LayerTime("conv", "Conv", 0.05), LayerTime("relu", "Relu", 0.01))
    values = {
        "label": label,
        "bundle": f"outputs/{label}",
        "model": "rtmpose",
        "backend": "onnxruntime",
        "library": "1.31",
        "threads": None,
        "load": 0.5,
        "memory_before": 50 * 2**20,
        "memory": 80 * 2**20,
        "timings": timings,
        "steps": steps_of(RECORD),
        "layers": layers,
    }
    return BundleProfile(**{**values, **changes})


def a_profile(*bundles):
    return Profile(4, 2, {"cores": "2"}, bundles, compared(bundles))


def test_a_batch_counts_as_many_items_as_it_has():
    timing = Timing(INPUT, 0.9, ((0.1, 0.3), (0.2, 0.2)))
    assert timing.samples == (0.1, 0.3, 0.2, 0.2)
    assert timing.statistics.mean == pytest.approx(0.2)
    assert timing.per_second(0.2) == pytest.approx(20)


def test_steps_are_a_tree_with_the_share_of_each_in_all_the_time():
    steps = steps_of(RECORD)
    assert [(step.path[-1], step.share, step.is_whole) for step in steps] == [
        ("pipeline", 1.0, True),
        ("preprocess", 0.25, True),
        ("pad", 0.0625, False),  # met after the network, and still a part of what came before it
        ("network", 0.5, False),
    ]
    assert sum(step.share for step in steps if not step.is_whole) <= 1


def test_a_bundle_is_compared_with_the_first_by_the_medians_of_each_round():
    first = a_bundle("fp32", ((0.1, 0.1, 0.9), (0.2, 0.2, 0.2)))
    second = a_bundle("int8", ((0.05, 0.05, 0.05), (0.4, 0.05, 0.05)))
    ((comparison,),) = compared([first, second])
    assert (comparison.label, comparison.baseline) == ("int8", "fp32")
    assert comparison.ratios == pytest.approx((0.5, 0.25))
    assert comparison.spread.median == pytest.approx(0.375)


def test_one_bundle_is_compared_with_nothing():
    assert compared([a_bundle()]) == ()


def test_the_json_has_every_sample_and_agrees_with_its_own_figures():
    values = json.loads(json.dumps(a_profile(a_bundle("fp32"), a_bundle("int8")).to_dict()))
    (timing,) = values["bundles"][0]["timings"]
    samples = [one for each in timing["rounds_ms"] for one in each]
    assert len(samples) == values["iterations"]
    assert timing["latency_ms"]["mean"] == pytest.approx(sum(samples) / len(samples))
    assert timing["fps"] == pytest.approx(timing["batch"] * 1000 / timing["latency_ms"]["mean"])
    assert (timing["batch"], timing["shape"], timing["first_ms"]) == (4, "256x192", pytest.approx(900))
    steps = {step["name"]: step for step in values["bundles"][0]["steps"]}
    assert steps["pipeline/preprocess/pad"] == {
        "name": "pipeline/preprocess/pad",
        "share": 0.0625,
        "calls": 1,
        "samples_ms": [500.0],
    }
    assert values["bundles"][0]["layers"][0] == {"name": "conv", "operator": "Conv", "ms": pytest.approx(50)}
    assert values["comparisons"][0][0]["ratio"]["median"] == pytest.approx(1)


def test_a_backend_that_says_nothing_of_layers_has_none_in_the_json():
    assert a_bundle(layers=None).to_dict()["layers"] is None
