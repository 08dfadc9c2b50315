"""Top-down pose estimation, from an image to poses drawn on it, is MMPose's."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.tasks import Sample
from compiler.tasks.crops import Crops
from compiler.tasks.pose import Pose, PreparedPoses, TopdownPose


def identity(count: int = 1) -> PreparedPoses:
    """A crop that is the image itself, as in the reference outputs."""
    crops = Crops(np.tile(np.float32([96, 128]), (count, 1)), np.tile(np.float32([192, 256]), (count, 1)), (192, 256))
    return PreparedPoses({}, np.tile(np.float32([0, 0, 192, 256]), (count, 1)), crops)


def one_pose(offset: float = 0.0, score: float = 1.0) -> Pose:
    points = np.stack([np.linspace(20, 170, 17), np.linspace(30, 220, 17)], axis=1).astype(np.float32)
    return Pose(points + np.float32(offset), np.full(17, score, np.float32), np.float32([10, 20, 180, 230]))


@pytest.fixture(params=["rtmpose_m.npz", "decode/rtmpose_m.npz"])
def golden(request, parity) -> dict[str, np.ndarray]:
    with np.load(parity / request.param) as arrays:
        return {key.removeprefix("raw."): value for key, value in arrays.items()}


def test_decoding_equals_mmposes(task, golden):
    (pose,) = task.decode({"simcc_x": golden["out.0"], "simcc_y": golden["out.1"]}, identity())
    np.testing.assert_allclose(pose.keypoints, golden["decoded.noflip.keypoints"][0], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(pose.scores, golden["decoded.noflip.keypoint_scores"][0])
    np.testing.assert_array_equal(pose.box, golden["decoded.noflip.bboxes"][0])


def test_decoding_with_a_flip_equals_mmposes(task, parity):
    """The reference was made with one pair of outputs for both the image and its mirror."""
    with np.load(parity / "decode" / "rtmpose_m.npz") as golden:
        outputs = {"simcc_x": golden["raw.out.0"], "simcc_y": golden["raw.out.1"]}
        (pose,) = task.decode(task.merge_flipped(outputs, outputs), identity())
        np.testing.assert_allclose(pose.keypoints, golden["decoded.flip.keypoints"][0], rtol=0, atol=1e-5)
        np.testing.assert_allclose(pose.scores, golden["decoded.flip.keypoint_scores"][0], rtol=1e-6)


def test_merging_averages_with_swapped_sides_and_reversed_columns(task):
    random = np.random.default_rng(0)
    outputs = {"simcc_x": random.random((2, 17, 384), "f4"), "simcc_y": random.random((2, 17, 512), "f4")}
    flipped = {"simcc_x": random.random((2, 17, 384), "f4"), "simcc_y": random.random((2, 17, 512), "f4")}
    merged = task.merge_flipped(outputs, flipped)
    left, right = (task.keypoints.names.index(f"{side}_wrist") for side in ("left", "right"))
    for column in (0, 5, 383):
        expected = (outputs["simcc_x"][1, left, column] + flipped["simcc_x"][1, right, 383 - column]) / 2
        assert merged["simcc_x"][1, left, column] == expected
    assert merged["simcc_y"][1, left, 7] == (outputs["simcc_y"][1, left, 7] + flipped["simcc_y"][1, right, 7]) / 2
    assert merged["simcc_x"].dtype == np.float32


def test_merging_with_the_exact_mirror_changes_nothing(task):
    random = np.random.default_rng(0)
    outputs = {"simcc_x": random.random((1, 17, 384), "f4"), "simcc_y": random.random((1, 17, 512), "f4")}
    swap = list(task.keypoints.swap)
    mirror = {"simcc_x": outputs["simcc_x"][:, swap, ::-1], "simcc_y": outputs["simcc_y"][:, swap]}
    for name, merged in task.merge_flipped(outputs, mirror).items():
        np.testing.assert_array_equal(merged, outputs[name])


def test_flipping_mirrors_the_crop(task, photograph):
    tensors = task.preprocess(Sample(photograph)).tensors
    flipped = task.flip(tensors)
    np.testing.assert_array_equal(flipped["input"], tensors["input"][:, :, :, ::-1])
    assert flipped["input"].flags.c_contiguous


def test_preprocessing_makes_a_normalised_batch(task, photograph):
    prepared = task.preprocess(Sample(photograph, np.array([[0, 0, 512, 600], [100, 50, 400, 500.5]])))
    assert list(prepared.tensors) == list(task.inputs)
    tensor = prepared.tensors["input"]
    assert (tensor.shape, tensor.dtype) == ((2, 3, 256, 192), np.float32)
    red = (prepared.crops.warp(photograph)[1][..., 2].astype(np.float32) - np.float32(123.675)) / np.float32(58.395)
    np.testing.assert_array_equal(tensor[1, 0], red)


def test_no_box_is_the_whole_image(task, photograph):
    whole, boxed = (
        task.preprocess(Sample(photograph)),
        task.preprocess(Sample(photograph, np.array([[0, 0, 512, 600]]))),
    )
    np.testing.assert_array_equal(whole.tensors["input"], boxed.tensors["input"])
    assert whole.boxes.tolist() == [[0, 0, 512, 600]]


@settings(max_examples=25, deadline=None)
@given(st.tuples(*[st.floats(-50, 400)] * 2, *[st.floats(30, 900)] * 2), st.integers(0, 2**32 - 1))
def test_a_point_of_the_image_is_found_again(task, photograph, box, seed):
    """Points that a network would find in the crop are placed where the crop shows the image's pixels."""
    x, y, width, height = box
    prepared = task.preprocess(Sample(photograph, np.array([[x, y, x + width, y + height]])))
    bins = np.random.default_rng(seed).integers(0, [384, 512], (17, 2))
    outputs = {
        "simcc_x": np.eye(384, dtype=np.float32)[bins[None, :, 0]],
        "simcc_y": np.eye(512, dtype=np.float32)[bins[None, :, 1]],
    }
    (pose,) = task.decode(outputs, prepared)
    matrix = prepared.crops.matrices()[0]
    inside = pose.keypoints @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(inside * 2, bins, rtol=0, atol=0.02)


def test_poses_come_in_the_order_of_their_boxes(task, photograph):
    boxes = np.array([[0, 0, 300, 300], [200, 100, 500, 600]], np.float32)
    prepared = task.preprocess(Sample(photograph, boxes))
    outputs = {"simcc_x": np.zeros((2, 17, 384), "f4"), "simcc_y": np.zeros((2, 17, 512), "f4")}
    outputs["simcc_x"][..., 192] = outputs["simcc_y"][..., 256] = [[1], [2]]
    for pose, box, score in zip(task.decode(outputs, prepared), boxes, (1, 2), strict=True):
        np.testing.assert_array_equal(pose.box, box)
        np.testing.assert_allclose(pose.keypoints, np.tile((box[:2] + box[2:]) / 2, (17, 1)), atol=1e-3)
        assert set(pose.scores.tolist()) == {score}


def test_a_pose_survives_json():
    pose = one_pose()
    read = json.loads(json.dumps(pose.to_dict()))
    assert list(read) == ["box", "names", "keypoints", "scores"]
    np.testing.assert_array_equal(np.float32(read["keypoints"]), pose.keypoints)


def test_drawing_shows_points_links_and_box_on_a_copy(task):
    image = np.zeros((256, 192, 3), np.uint8)
    drawn = task.draw(Sample(image), [one_pose()])
    assert not image.any()
    x, y = one_pose().keypoints[0].round().astype(int)
    np.testing.assert_array_equal(drawn[y, x], [255, 153, 51])
    middle = one_pose().keypoints[[15, 13]].mean(axis=0).round().astype(int)
    assert drawn[middle[1], middle[0]].any()
    assert drawn[20, 15:170].any(axis=1).all()


def test_drawing_hides_what_is_unsure_or_nowhere(task):
    image = np.zeros((256, 192, 3), np.uint8)
    nowhere = one_pose()
    nowhere.keypoints[:] = np.nan
    unsure = task.draw(Sample(image), [one_pose(score=task.score_threshold - 0.01)])
    np.testing.assert_array_equal(unsure, task.draw(Sample(image), [nowhere]))
    np.testing.assert_array_equal(unsure, task.draw(Sample(image), [one_pose(score=float("nan"))]))
    assert (task.draw(Sample(image), [one_pose(score=task.score_threshold)]) != unsure).any()


def test_drawing_bears_points_far_outside(task):
    task.draw(Sample(np.zeros((64, 64, 3), np.uint8)), [one_pose(1e5), one_pose(-1e5)])


def test_drawing_grows_with_the_image(task):
    def drawn_share(factor: int) -> float:
        pose = one_pose()
        larger = Pose(pose.keypoints * factor, pose.scores, pose.box * factor)
        return task.draw(Sample(np.zeros((256 * factor, 192 * factor, 3), np.uint8)), [larger]).any(axis=2).mean()

    # Lines of constant width would cover a quarter of the share in an image four times as large.
    assert drawn_share(16) > drawn_share(4) * 0.5


@pytest.mark.parametrize(
    ("image", "boxes"),
    [
        (np.zeros((4, 4), np.uint8), None),
        (np.zeros((4, 4, 3), np.float32), None),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4))),
        (np.zeros((4, 4, 3), np.uint8), np.zeros(4)),
    ],
)
def test_preprocessing_refuses_other_shapes(task, image, boxes):
    with pytest.raises(ValueError, match=r"an image is|boxes are"):
        task.preprocess(Sample(image, boxes))


def test_decoding_refuses_other_shapes(task):
    outputs = {"simcc_x": np.zeros((1, 16, 384), "f4"), "simcc_y": np.zeros((1, 16, 512), "f4")}
    with pytest.raises(ValueError, match="simcc_x"):
        task.decode(outputs, identity())


def test_keypoints_are_cocos(task):
    keypoints = task.keypoints
    assert len(keypoints.names) == 17
    assert len(keypoints.skeleton) == 19
    for name, other in zip(keypoints.names, keypoints.swap, strict=True):
        mirrored = name.replace("left", "~").replace("right", "left").replace("~", "right")
        assert keypoints.names[other] == mirrored


def test_a_task_is_frozen(task):
    assert isinstance(task, TopdownPose)
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.padding = 2.0
