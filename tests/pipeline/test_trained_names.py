"""The names of a checkpoint, in the model that it is given to."""

from __future__ import annotations

import pytest

from compiler.checkpoint.names import CheckpointNames
from compiler.config import compose
from compiler.errors import UsageError
from compiler.pipeline.trained_names import named_by_checkpoint

TWO = CheckpointNames(classes=("apple", "pear"))


def test_a_checkpoint_names_the_classes():
    config = named_by_checkpoint(compose(["model=rtmdet-tiny", "model.network.bbox_head.num_classes=2",
                                          "model.processing.classes.names=[a,b]"]), TWO)  # fmt: skip
    assert config.model.processing["classes"]["names"] == ["apple", "pear"]


def test_the_command_line_goes_before_the_checkpoint():
    config = compose(["model=rtmdet-tiny", "classes=[a,b]"])
    assert named_by_checkpoint(config, TWO) == config


def test_a_checkpoint_without_names_changes_nothing():
    config = compose(["model=rtmdet-tiny"])
    assert named_by_checkpoint(config, CheckpointNames()) == config


def test_another_number_of_classes_is_refused_with_the_command():
    with pytest.raises(UsageError, match="trained for 2 classes, and rtmdet-tiny has 80") as caught:
        named_by_checkpoint(compose(["model=rtmdet-tiny"]), TWO)
    assert caught.value.fix == 'add "classes=[apple,pear]"'


def test_a_checkpoint_tells_which_points_are_left_and_right():
    trained = CheckpointNames(keypoints=("a", "b", "c"), swap=(0, 2, 1))
    config = compose(["model=rtmpose", "model.network.head.out_channels=3", "keypoints=null",
                      "model.processing.keypoints.names=[x,y,z]", "model.processing.keypoints.swap=[0,1,2]",
                      "model.processing.keypoints.colors=[[0,0,0],[0,0,0],[0,0,0]]",
                      "model.processing.keypoints.skeleton=[]"])  # fmt: skip
    points = named_by_checkpoint(config, trained).model.processing["keypoints"]
    assert (points["names"], points["swap"]) == (["a", "b", "c"], [0, 2, 1])
