"""The average precision of key points: by hand, against pycocotools, and with what MMPose does before it."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from compiler.datasets import Dataset, Item, KeypointTruth, ObjectTruth, read_coco
from compiler.errors import CompileError
from compiler.metrics.coco_keypoints import CocoKeypoints
from compiler.metrics.oks import COCO_SIGMAS, similarity, softly_suppressed, suppressed
from compiler.tasks.pose import Pose
from compiler.tasks.pose.bottomup import PersonPose
from tests.metrics.drawn import NAMES, coco_people, posed

SIGMAS = np.array(COCO_SIGMAS)
BOX = (100.0, 100.0, 200.0, 300.0)


def person(**more) -> ObjectTruth:
    points = tuple(KeypointTruth(110.0 + 5 * index, 110.0 + 10 * index, 2) for index in range(17))
    return ObjectTruth(BOX, "person", area=10_000.0, keypoints=points, **more)


def pose_of(truth: ObjectTruth, offset: float = 0.0, score: float = 0.8) -> Pose:
    points = np.float32([(point.x + offset, point.y) for point in truth.keypoints])
    return Pose(points, np.full(17, score, np.float32), np.float32(truth.box), NAMES)


def of_images(*truths: tuple[ObjectTruth, ...]) -> Dataset:
    items = tuple(Item(Path(f"{n}.jpg"), truth, n) for n, truth in enumerate(truths, 1))
    return Dataset(items, ("person",), NAMES, (1,))


def test_similarity_is_as_coco_defines_it():
    """exp(-d² / (2 s² k²)), with k twice the sigma, and s² the area: by hand for one point."""
    shift, area = 6.0, 10_000.0
    one = similarity(np.zeros((1, 2)), np.array([[[shift, 0.0]]]), area, np.array([area]), SIGMAS[:1])
    assert one[0] == pytest.approx(np.exp(-(shift**2) / (2 * area * (2 * 0.026) ** 2)))


def test_a_perfect_pose_is_worth_one_and_a_person_that_is_missed_a_half():
    dataset = of_images((person(),), (person(),))
    both = [[pose_of(person())], [pose_of(person())]]
    assert CocoKeypoints().score(both, dataset)["coco/AP"] == pytest.approx(1)
    one = CocoKeypoints().score([both[0], []], dataset)
    assert one["coco/AR"] == pytest.approx(0.5)
    assert one["coco/AP"] == pytest.approx(51 / 101), "of 101 recalls, those up to a half"
    assert list(one)[:5] == ["coco/AP", "coco/AP .5", "coco/AP .75", "coco/AP (M)", "coco/AP (L)"]


def test_a_pose_that_is_off_counts_at_the_similarities_that_it_reaches():
    truth, offset = person(), 10.0
    oks = np.exp(-(offset**2) / (2 * truth.area * (2 * SIGMAS) ** 2)).mean()
    reached = (np.linspace(0.5, 0.95, 10) <= oks).mean()
    assert 0 < reached < 1
    assert CocoKeypoints().score([[pose_of(truth, offset)]], of_images((truth,)))["coco/AP"] == pytest.approx(reached)


@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_are_those_of_pycocotools_on_the_files_themselves(tmp_path, seed):
    annotations = coco_people(tmp_path / "person_keypoints.json", seed=seed)
    dataset = read_coco(annotations, tmp_path)
    predictions, metric = posed(dataset, seed), CocoKeypoints()
    (results,) = metric.write(predictions, dataset, tmp_path)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(annotations))
        judge = COCOeval(truth, truth.loadRes(str(results)), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    scores = metric.score(predictions, dataset)
    assert 0.05 < scores["coco/AP"] < 0.95, "neither all right nor all wrong"
    np.testing.assert_array_equal(list(scores.values()), [np.nan if value == -1 else value for value in judge.stats])


def test_a_pose_is_ranked_by_its_sure_points_and_the_score_of_its_box():
    """MMPose's `bbox_keypoint`: the mean of the scores above 0.2, times the box's."""
    scores = np.float32([0.9, 0.5, 0.2, *[0.1] * 14])
    keypoints = pose_of(person()).keypoints
    known, detected = Pose(keypoints, scores, np.float32(BOX)), PersonPose(np.float32(BOX), 0.5, keypoints, scores)
    ranks = {
        "bbox_keypoint": (0.7, 0.35),
        "bbox": (1.0, 0.5),
        "keypoint": (scores.mean(), scores.mean()),
        "bbox_rle": (1 + scores.mean() + 0.9, 0.5 + scores.mean() + 0.9),
    }
    for mode, (without, within) in ranks.items():
        metric = CocoKeypoints(score_mode=mode)
        assert metric._score(known) == pytest.approx(without, rel=1e-6)
        assert metric._score(detected) == pytest.approx(within, rel=1e-6)
    unsure = Pose(keypoints, np.full(17, 0.1, np.float32), np.float32(BOX))
    assert CocoKeypoints()._score(unsure) == 0


def test_one_of_two_similar_poses_is_suppressed(tmp_path):
    twice = [pose_of(person()), pose_of(person(), 0.5, score=0.9), pose_of(person(), 60)]
    dataset = of_images((person(),))
    for mode, kept in (("oks_nms", 2), (None, 2), ("none", 3), ("soft_oks_nms", 3)):
        (path,) = CocoKeypoints(nms_mode=mode).write([twice], dataset, tmp_path)
        written = json.loads(path.read_text())
        assert len(written) == kept
    best = CocoKeypoints().write([twice], dataset, tmp_path)[0]
    assert json.loads(best.read_text())[0]["score"] == pytest.approx(0.9), "the better of the two is kept"


def test_suppression_is_that_of_its_definition():
    draw = np.random.default_rng(0)
    poses = draw.uniform(0, 100, (12, 17, 2))
    scores, areas = draw.random(12), draw.uniform(500, 40_000, 12)
    kept = suppressed(poses, scores, areas, SIGMAS, 0.3)
    assert kept == [6, 4, 2, 9, 7, 8, 10, 1, 5, 11, 0], "as MMPose 1.3.2's oks_nms says"
    for index in range(12):
        better = [one for one in kept if scores[one] > scores[index]]
        close = any(
            similarity(poses[one], poses[[index]], areas[one], areas[[index]], SIGMAS)[0] > 0.3 for one in better
        )
        assert (index in kept) != close
    softly = softly_suppressed(poses, scores, areas, SIGMAS, 0.3)
    assert softly == [6, 4, 2, 8, 9, 7, 1, 5, 3, 10, 11, 0], "as its soft_oks_nms says"
    assert len(softly_suppressed(np.tile(poses, (2, 1, 1)), np.tile(scores, 2), np.tile(areas, 2), SIGMAS, 0.5)) == 20


def test_the_area_for_suppression_is_that_of_the_padded_crop():
    """A box of 100x200 in a crop of 3 to 4 becomes 150x200, and 1.25 times as large."""
    assert CocoKeypoints()._crop_area(pose_of(person())) == pytest.approx(150 * 200 * 1.25**2)


def test_without_an_area_a_share_of_the_box_counts():
    truth = person()
    told = replace(truth, area=0.53 * 100 * 200)
    off = [[pose_of(truth, 10.0)]]
    expected = CocoKeypoints().score(off, of_images((told,)))
    assert CocoKeypoints(use_area=False).score(off, of_images((truth,))) == pytest.approx(expected, nan_ok=True)
    assert expected["coco/AP"] != CocoKeypoints().score(off, of_images((truth,)))["coco/AP"]


def model(*names: str) -> SimpleNamespace:
    return SimpleNamespace(keypoints=SimpleNamespace(names=names))


def test_a_model_that_finds_all_people_at_once_is_ranked_by_its_own_scores():
    fitted = CocoKeypoints().fitted(model(*NAMES), of_images((person(),)))
    assert (fitted.score_mode, fitted.nms_mode) == ("bbox", "none")
    named = CocoKeypoints(score_mode="keypoint", nms_mode="oks_nms").fitted(model(*NAMES), of_images((person(),)))
    assert (named.score_mode, named.nms_mode) == ("keypoint", "oks_nms"), "what a user says counts"


def test_the_key_points_have_to_be_the_same():
    dataset = of_images((person(),))
    paws = ("paw", *NAMES[1:])
    with pytest.raises(CompileError, match="mean other key points") as caught:
        CocoKeypoints().fitted(model(*paws), dataset)
    assert "metric.check_names=false" in caught.value.fix
    assert CocoKeypoints(check_names=False).fitted(model(*paws), dataset)
    assert CocoKeypoints().fitted(model(*(name.replace("_", "-").upper() for name in NAMES)), dataset)
    with pytest.raises(CompileError, match="the model finds 5 key points, and the data set has 17"):
        CocoKeypoints().fitted(model(*NAMES[:5]), dataset)
    with pytest.raises(CompileError, match="there are 3 sigmas for 17 key points"):
        CocoKeypoints(sigmas=(0.1, 0.1, 0.1)).fitted(model(*NAMES), dataset)
    boxes = Dataset((Item(Path("a.jpg"), (ObjectTruth(BOX, "person"),)),), ("person",))
    with pytest.raises(CompileError, match="the data set has no key points"):
        CocoKeypoints().fitted(model(*NAMES), boxes)


def test_there_is_no_other_mode():
    with pytest.raises(ValueError, match="score_mode is one of bbox"):
        CocoKeypoints(score_mode="area")


def test_the_faster_referee_says_the_same(tmp_path):
    pytest.importorskip("faster_coco_eval")
    dataset = read_coco(coco_people(tmp_path / "people.json"), tmp_path)
    metric = CocoKeypoints(score_mode="keypoint", nms_mode="none")
    expected = metric.score(posed(dataset), dataset)
    assert replace(metric, referee="faster").score(posed(dataset), dataset) == pytest.approx(expected, nan_ok=True)
