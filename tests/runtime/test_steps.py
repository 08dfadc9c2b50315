"""The steps that a predictor takes, by the names that they have in a record."""

from __future__ import annotations

import numpy as np
import pytest

from compiler import runtime
from compiler.spans import SpanRecord
from compiler.tasks import Sample
from compiler.tasks.voxel_detection.voxelization import Voxelization
from tests.bundles import FIRST_LAYOUT

STEPS = {
    "arrays": ["load", "preprocess", "network", "decode"],
    "objects": [
        *("load", "preprocess", "preprocess/resize", "preprocess/normalise", "network", "decode", "decode/select"),
    ],
    "reader": ["load", "preprocess", "preprocess/resize", "preprocess/normalise", "network", "decode"],
    "text": ["load", "preprocess", "preprocess/resize", "preprocess/normalise", "network", "decode"],
}


@pytest.mark.parametrize("name", STEPS)
def test_a_prediction_takes_its_steps_in_order(name):
    predictor = runtime.open(FIRST_LAYOUT / name)
    with SpanRecord() as record:
        predictor(predictor.task.sample_source())
    assert ["/".join(path) for path in record.seconds] == STEPS[name]


def test_the_network_is_a_step_for_each_batch_that_boxes_fill():
    predictor = runtime.open(FIRST_LAYOUT / "pose")
    with SpanRecord() as record:
        predictor(predictor.task.sample_source(), [[0, 0, 100, 100]] * (predictor.batch + 1))
    assert len(record.seconds["network",]) == 2
    assert len(record.seconds["load",]) == 1


def test_sorting_points_into_voxels_is_a_step():
    voxelization = Voxelization((1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 4.0, 4.0, 4.0), 2, 10)
    with SpanRecord() as record:
        voxelization(np.ones((3, 4), np.float32))
    assert list(record.seconds) == [("voxelise",)]


def test_results_are_the_same_whether_steps_are_recorded_or_not():
    predictor = runtime.open(FIRST_LAYOUT / "pose")
    sample = predictor.task.read(predictor.task.sample_source())
    plain = predictor.task.preprocess(Sample(sample.source)).tensors["input"]
    with SpanRecord():
        recorded = predictor.task.preprocess(Sample(sample.source)).tensors["input"]
    assert np.array_equal(plain, recorded)
