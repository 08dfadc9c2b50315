"""A result that is made of a part of the input says so, with the shape that would hold all of it."""

import warnings

import numpy as np
import pytest

from compiler.config.sizes import SizeRange
from compiler.errors import Caution
from compiler.tasks import Sample
from tests.tasks.detectors import detector


@pytest.fixture(scope="module")
def clouds():
    task = detector("pointpillars")
    sample = task.read(task.sample_source())
    return task, sample, len(task.voxels(sample.source).voxels)


def sized(voxels: int) -> SizeRange:
    return SizeRange.exactly((voxels,))


def test_a_cloud_that_does_not_fit_is_told_of(clouds):
    task, sample, count = clouds
    with pytest.warns(
        Caution, match=f"it fills {count} voxels, and the engine takes the first 100.*shape=static_{count}"
    ):
        prepared = task.preprocess(sample, sized(100))
    assert len(prepared.tensors["voxels"]) == 100


@pytest.mark.parametrize("more", [0, 7])
def test_a_cloud_that_fits_is_not(clouds, more):
    task, sample, count = clouds
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.preprocess(sample, sized(count + more))


@pytest.mark.parametrize(("width", "is_squeezed"), [(1600, True), (640, False)])
def test_a_line_that_is_squeezed_is_told_of(width, is_squeezed):
    task = detector("crnn")
    line = Sample(np.zeros((32, width, 3), np.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        task.preprocess(line, SizeRange((32, 32), (32, 100), (32, 640), (1, 4)))
    assert [one.category for one in caught] == [Caution] * is_squeezed
    if is_squeezed:
        assert "it is 1600 wide, and the engine takes 640" in str(caught[0].message)
        assert "shape=static_32x1600" in str(caught[0].message)
