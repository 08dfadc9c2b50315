"""One key names what a task looks at; its aliases say what that has to be."""

from dataclasses import replace
from pathlib import Path

import pytest

from compiler.config import compose
from compiler.config.moved import with_present_keys
from compiler.errors import UsageError
from compiler.tasks import InputKind, build_task
from compiler.tasks.inputs import locate_input
from compiler.tasks.pose import TopdownPose

POSE, CLOUDS = "model=rtmpose-t", "model=pointpillars"


def located(*overrides: str) -> Path:
    config = compose(overrides)
    return locate_input(config, build_task(config.model.processing))


@pytest.mark.parametrize("spelling", ["input=a.jpg", "image=a.jpg", "+image=a.jpg", "image='a.jpg'"])
def test_an_input_has_one_name_and_an_alias_for_its_kind(spelling):
    assert located(POSE, spelling) == Path("a.jpg")


def test_without_an_input_the_tasks_own_sample_stands_in():
    for overrides in ((POSE,), (POSE, "input=null"), (POSE, "image=null"), (POSE, "points=null")):
        assert located(*overrides).name == "grace_hopper.jpg"
    assert located(CLOUDS).name == "kitti.bin"


def test_an_alias_of_another_kind_is_refused():
    with pytest.raises(UsageError, match="rtmpose-t does not look at points") as caught:
        located(POSE, "points=street.bin")
    assert caught.value.where == "points=street.bin"
    assert "input=<image, .bmp or" in caught.value.fix
    with pytest.raises(UsageError, match="pointpillars does not look at arrays"):
        located(CLOUDS, "arrays=a.npz")


@pytest.mark.parametrize("second", ["image=b.jpg", "points=b.bin"])
def test_two_inputs_are_refused(second):
    with pytest.raises(UsageError, match="two inputs are given") as caught:
        compose([POSE, "input=a.jpg", second])
    assert caught.value.where == f"input=a.jpg {second}"


def test_a_config_from_before_there_was_one_key_is_read():
    old = {"image": None, "points": "street.bin", "arrays": None, "box": None}
    assert with_present_keys(old) == {"input": "street.bin", "input_kind": "points", "box": None}
    assert with_present_keys({"image": None, "input": None}) == {"input": None}


class Listening(TopdownPose):
    """A task that looks at a kind of input of its own."""

    looks_at = InputKind("sound", (".wav",))


def test_a_fourth_kind_needs_nothing_but_its_task():
    config = compose([POSE, "input=song.wav"])
    task = Listening(**vars(build_task(config.model.processing)))
    assert locate_input(config, task) == Path("song.wav")
    with pytest.raises(UsageError, match="does not look at image") as caught:
        locate_input(replace(config, input_kind="image"), task)
    assert "input=<sound, .wav>" in caught.value.fix
