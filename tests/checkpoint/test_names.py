"""The names that a trainer writes beside the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compiler.checkpoint.names import CheckpointNames, names_in, names_of

POSE = {"keypoint_id2name": {0: "nose", 1: "left", 2: "right"}, "flip_indices": [0, 2, 1], "sigmas": np.ones(3)}


def test_names_are_read_from_the_file_that_training_leaves(tmp_path):
    file = tmp_path / "epoch_3.pth"
    torch.save({"meta": {"epoch": 3, "dataset_meta": POSE}, "state_dict": {"a": torch.zeros(2)}}, file)
    assert names_of(file) == CheckpointNames(keypoints=("nose", "left", "right"), swap=(0, 2, 1))


@pytest.mark.parametrize(
    ("meta", "classes"),
    [
        ({"dataset_meta": {"classes": ("a", "b")}, "CLASSES": ("c",)}, ("a", "b")),
        ({"dataset_meta": {"CLASSES": ["a", "b"]}}, ("a", "b")),
        ({"CLASSES": ("a",)}, ("a",)),
        ({"dataset_meta": {"palette": []}, "CLASSES": ("c",)}, ()),
        ({"dataset_meta": {"classes": ("a", "a")}}, ()),
        ({"dataset_meta": {"classes": "ab"}}, ()),
        ({"dataset_meta": {"classes": [1, 2]}}, ()),
        ({}, ()),
    ],
)
def test_classes_are_those_of_the_newest_layout_that_is_there(meta, classes):
    assert names_in(meta).classes == classes


@pytest.mark.parametrize("flipped", [None, [1, 2, 0], [0], [0, 9, 1], ["a", "b", "c"]])
def test_sides_that_do_not_lead_back_are_none(flipped):
    assert names_in({"dataset_meta": {**POSE, "flip_indices": flipped}}).swap is None


def test_a_file_without_metadata_names_nothing(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "plain.pth")
    (tmp_path / "broken.pth").write_bytes(b"no checkpoint")
    assert names_of(tmp_path / "plain.pth") == names_of(tmp_path / "broken.pth") == CheckpointNames()


@pytest.mark.parametrize(
    "said", [torch.zeros(3), np.ones(2), [1], {1: 2, (0,): "classes"}, {"keypoint_id2name": {0: "a", (1,): "b"}}, {}]
)
def test_metadata_of_another_kind_names_nothing_and_stops_nothing(tmp_path, said):
    torch.save({"meta": {"dataset_meta": said}}, tmp_path / "odd.pth")
    assert names_of(tmp_path / "odd.pth") == CheckpointNames()


def test_a_key_that_is_no_text_is_not_written_out():
    class Key:
        def __str__(self) -> str:
            raise AssertionError("it may be longer than all memory")

    assert names_in({"dataset_meta": {Key(): 1, "classes": ["a"]}}).classes == ("a",)
