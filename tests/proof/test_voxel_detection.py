"""Objects in clouds are paired by their middles, and compared by their corners."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.proof import NETWORK, Tolerance, proof_of, prove
from compiler.tasks import Sample
from compiler.tasks.voxel_detection import Detection3D, PreparedVoxels
from tests.tasks.detectors import detector
from tests.tasks.raw_maps import raw_maps

MODELS = {"pointpillars": "pointpillars_kitti3", "centerpoint": "centerpoint_pillar02"}


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def task(name):
    return detector(name)


@pytest.fixture(scope="module")
def points(task):
    return task.read(task.sample_source()).source


@pytest.fixture(scope="module")
def outputs(name, task, parity):
    return raw_maps(parity, MODELS[name], task.outputs)


@pytest.fixture(scope="module")
def results(task, outputs):
    return task.decode(outputs, PreparedVoxels({}, 1))


def cars(*places, score=0.9, label=2, **changes):
    """Return cars of KITTI at x, y; the scores go down by a hundredth each."""
    size, bottom = np.array([4, 1.6, 1.5], np.float32), -1.7
    return [
        Detection3D(np.array([x, y, bottom], np.float32), size, 0.0, score - index / 100, label, "Car", **changes)
        for index, (x, y) in enumerate(places)
    ]


STREET = [(8.0 * column, 6.0 * row) for column in range(8) for row in range(-2, 3)]
"""Forty places far from each other, so that one more or less is few."""


@pytest.fixture(scope="module")
def pointpillars():
    return detector("pointpillars")


@pytest.mark.parametrize(("count", "total"), [(1, 1), (1, 8000), (3, 3), (4, 10001)])
def test_samples_are_different_clouds_with_that_many_different_voxels(task, points, count, total):
    sample = proof_of(task).samples(Sample(points), count, (total,))
    again = proof_of(task).samples(Sample(points), count, (total,))
    coors = sample.tensors["coors"]
    assert sample.clouds == count
    assert len(np.unique(coors, axis=0)) == len(coors) == total
    assert (np.diff(coors[:, 0]) >= 0).all()
    shares = np.bincount(coors[:, 0])
    assert len(shares) == count
    assert np.ptp(shares) <= 1
    for key, tensor in sample.tensors.items():
        np.testing.assert_array_equal(tensor, again.tensors[key])


def test_the_first_sample_is_the_cloud_itself_and_the_others_differ(task, points):
    sample = proof_of(task).samples(Sample(points), 3, (600,)).tensors
    free = task.preprocess(Sample(points)).tensors
    np.testing.assert_array_equal(sample["coors"][:200], free["coors"][:200])
    np.testing.assert_array_equal(sample["voxels"][:200], free["voxels"][:200])
    parts = sample["coors"][:, 1:].reshape(3, 200, 3)
    assert not np.array_equal(parts[0], parts[1])
    assert not np.array_equal(parts[1], parts[2])


def test_one_point_is_enough_for_samples_and_more_clouds_than_voxels_are_too_many(task):
    point = np.zeros((1, task.used_dimensions), np.float32)
    point[0, 0] = 20
    assert len(proof_of(task).samples(Sample(point), 4, (64,)).tensors["coors"]) == 64
    with pytest.raises(ValueError, match="cannot share"):
        proof_of(task).samples(Sample(point), 4, (3,))


def test_equal_results_do_not_differ(task, results):
    assert proof_of(task).difference(results, results) == 0
    assert proof_of(task).difference(results, results[::-1]) == 0
    assert proof_of(task).difference([], []) == 0


def test_the_difference_is_how_far_the_corners_moved(pointpillars):
    street = cars(*STREET)
    moved = [replace(street[0], bottom=street[0].bottom + np.array([0.03, 0.04, 0], np.float32)), *street[1:]]
    assert proof_of(pointpillars).difference(street, moved) == pytest.approx(0.05, abs=1e-5)
    longer = [replace(street[0], size=street[0].size + np.array([0.1, 0, 0], np.float32)), *street[1:]]
    assert proof_of(pointpillars).difference(street, longer) == pytest.approx(0.05, abs=1e-5)
    turned = [replace(street[0], yaw=0.01), *street[1:]]
    assert proof_of(pointpillars).difference(street, turned) == pytest.approx(0.01 * np.hypot(2, 0.8), rel=1e-3)


def test_a_box_that_faces_the_other_way_covers_the_same(pointpillars):
    street = cars(*STREET)
    assert proof_of(pointpillars).difference(street, [replace(one, yaw=np.pi) for one in street]) < 1e-5


def test_a_size_beyond_all_bounds_is_cut_at_them(pointpillars):
    street = cars(*STREET)
    huge, other = (
        replace(street[0], yaw=0.7, size=np.array([length, 2, 1.5], np.float32)) for length in (2_000_000, 2_000_008)
    )
    assert proof_of(pointpillars).difference([huge, *street[1:]], [other, *street[1:]]) == 0
    assert proof_of(pointpillars).difference([huge, *street[1:]], street) > 30


def test_an_object_that_is_lacking_cannot_be_paired(pointpillars):
    street = cars(*STREET)
    for other in (street[1:], street[:-1], [replace(street[0], label=1), *street[1:]], cars(*STREET, item=1)):
        assert proof_of(pointpillars).difference(street, other) == np.inf
        assert proof_of(pointpillars).difference(other, street) == np.inf


@pytest.mark.parametrize(("score", "difference"), [(0.10001, 0), (0.11, np.inf)])
def test_an_object_that_scores_the_threshold_may_be_lacking(pointpillars, score, difference):
    assert proof_of(pointpillars).difference(cars(*STREET), cars(*STREET) + cars((66, 20), score=score)) == difference


@pytest.mark.parametrize(
    ("gap", "score", "difference"),
    [(4.0 * 0.99 / 1.01, 0.3, 0), (3.5, 0.3, np.inf), (3.5, 0.29999, 0), (4.1, 0.3, np.inf)],
)
def test_of_two_objects_that_exclude_each_other_just_about_either_may_be_kept(pointpillars, gap, score, difference):
    street = cars(*STREET)
    better, worse = cars((64, -30), score=0.3), cars((64 + gap, -30), score=score if difference == 0 else 0.2)
    if score == 0.29999:  # they score the same: each list has another of them
        assert proof_of(pointpillars).difference(street + better, street + worse) == difference
    else:
        assert proof_of(pointpillars).difference(street + better + worse, street + better) == difference


def test_centers_that_are_near_exclude_each_other():
    centerpoint = detector("centerpoint")
    street = cars(*STREET, label=0)
    better = cars((40, -30), score=0.5, label=0)
    for distance, difference in ((2.0, 0), (2.1, np.inf), (1.5, np.inf)):
        worse = cars((40 + distance, -30), score=0.4, label=0)
        assert proof_of(centerpoint).difference(street + better + worse, street + better) == difference


def test_where_many_differ_it_is_not_rounding(pointpillars):
    street = cars(*STREET)
    assert (
        proof_of(pointpillars).difference(street, street + cars(*[(66, y) for y in range(-30, 30, 6)], score=0.1))
        == np.inf
    )


def test_numbers_that_are_none_differ_infinitely(pointpillars):
    street = cars(*STREET)
    assert proof_of(pointpillars).difference(street, [replace(street[0], yaw=np.nan), *street[1:]]) == np.inf


SIZES = {"pointpillars": ("bbox_pred", slice(3, 6)), "centerpoint": ("dim_0", slice(None))}
"""The output that holds logarithms of sizes, and which of an anchor's numbers they are."""


def by_anchor(name, outputs, key):
    """A view of an output of PointPillars by anchor, of one of CenterPoint as it is: `[n, anchors, numbers, h, w]`."""
    (batch, channels, *sides), anchors = outputs[key].shape, 6 if name == "pointpillars" else 1
    return outputs[key].reshape(batch, anchors, channels // anchors, *sides)


def of_which_many_score_the_same(name, outputs, logarithm=0.0):
    """Outputs whose scores are whole numbers before the sigmoid, and whose sizes are of a power of e."""
    found = {key: np.round(one) if key.startswith(("cls", "heat")) else one.copy() for key, one in outputs.items()}
    key, numbers = SIZES[name]
    by_anchor(name, found, key)[:, :, numbers] += np.float32(logarithm)
    return found


def rounded_otherwise(outputs, share=1e-6):
    """Outputs as another order of sums would have them."""
    generator = np.random.default_rng(0)
    return {
        key: (one + generator.normal(0, share * one.std(), one.shape)).astype(np.float32)
        for key, one in outputs.items()
    }


def decoded(task, reference, found):
    return proof_of(task).decoded_difference(reference, found, PreparedVoxels({}, 1))


def verdict(task, reference, found):
    stages = [(NETWORK, lambda _: reference), ("stage", lambda _: found)]
    (proof,) = prove(stages, {"1x600": PreparedVoxels({}, 1)}, proof_of(task), Tolerance(1e-4))
    return proof


@pytest.mark.parametrize("logarithm", [0, 40, 300], ids=["as they are", "huge", "infinite"])
def test_where_rounding_ranks_the_boxes_those_in_all_places_are_compared(name, task, outputs, logarithm):
    reference = of_which_many_score_the_same(name, outputs, logarithm)
    found = rounded_otherwise(reference)
    results = (task.decode(side, PreparedVoxels({}, 1)) for side in (reference, found))
    if not logarithm:  # otherwise one box excludes all others
        assert proof_of(task).difference(*results) == np.inf
    proof = verdict(task, reference, found)
    assert proof.within, proof.faults
    assert 0 < proof.worst_decoded < 0.1


@pytest.mark.parametrize("logarithm", [0, 40], ids=["as they are", "huge"])
def test_sizes_that_are_a_hundredth_longer_are_not_proven(name, task, outputs, logarithm):
    reference = of_which_many_score_the_same(name, outputs, logarithm)
    found = rounded_otherwise(reference)
    key, numbers = SIZES[name]
    by_anchor(name, found, key)[:, :, numbers] += np.float32(np.log(1.01))
    assert not verdict(task, reference, found).within
    if logarithm:
        assert decoded(task, reference, found) > 0.2


def test_a_size_that_is_infinite_in_one_of_them_is_not_proven(name, task, outputs):
    reference, finite = (of_which_many_score_the_same(name, outputs, logarithm) for logarithm in (300, 40))
    assert decoded(task, reference, finite) == decoded(task, finite, reference) == np.inf


@pytest.mark.parametrize("direction", [-1, 1])
def test_boxes_that_score_something_else_are_not_proven(name, task, outputs, direction):
    reference = of_which_many_score_the_same(name, outputs)
    found = rounded_otherwise(reference)
    key = "cls_score" if name == "pointpillars" else "heatmap_0"
    place = reference[key].argmax() if direction < 0 else reference[key].argmin()
    found[key].ravel()[place] = direction * 12
    assert decoded(task, reference, found) == np.inf


def test_boxes_elsewhere_are_not_proven(name, task, outputs):
    reference = of_which_many_score_the_same(name, outputs)
    found = rounded_otherwise(reference)
    key = "bbox_pred" if name == "pointpillars" else "reg_0"
    by_anchor(name, found, key)[:, :, 0] += np.float32(1.5)
    assert decoded(task, reference, found) > 0.2
    assert not verdict(task, reference, found).within
