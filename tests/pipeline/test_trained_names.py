"""The names of a checkpoint, in the model that it is given to."""

from __future__ import annotations

import pytest

from compiler.checkpoint.names import CheckpointNames
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.pipeline import trained_names
from compiler.pipeline.trained_names import named_by_checkpoint, names_in_cache
from compiler.sources import Checkpoint

TRAINED = CheckpointNames(classes=("apple", "pear"), keypoints=("a", "b"), swap=(1, 0))
TWO = CheckpointNames(classes=("apple", "pear"))


@pytest.fixture
def read(monkeypatch):
    """The checkpoints whose names were really read."""
    files = []
    monkeypatch.setattr(trained_names, "names_of", lambda path: files.append(path) or TRAINED)
    return files


@pytest.fixture
def checkpoint(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"weights")
    return Checkpoint.of(tmp_path / "a.pth")


def test_the_names_in_a_checkpoint_are_read_once(tmp_path, checkpoint, read):
    assert names_in_cache(checkpoint, tmp_path / "cache") == names_in_cache(checkpoint, tmp_path / "cache") == TRAINED
    assert read == [checkpoint.path]
    checkpoint.path.write_bytes(b"others")
    names_in_cache(Checkpoint.of(checkpoint.path), tmp_path / "cache")
    assert len(read) == 2


def test_the_names_of_a_checkpoint_that_was_replaced_are_never_those_of_the_first(tmp_path, checkpoint, read):
    checkpoint.path.write_bytes(b"others")
    with pytest.raises(CompileError, match="changed while it was being read"):
        names_in_cache(checkpoint, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*/names.json"))


def test_the_names_are_read_where_nothing_can_be_kept(tmp_path, checkpoint, read):
    (tmp_path / "file").write_text("in the place of a cache")
    assert names_in_cache(checkpoint, tmp_path / "file/cache") == TRAINED


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
