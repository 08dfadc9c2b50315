"""A config node becomes a task, or an error that names the key, without Hydra and PyTorch."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from compiler.errors import UsageError
from compiler.tasks import build_task
from compiler.tasks.pose import TopdownPose
from compiler.tasks.pose.codecs import SimCCLabel
from compiler.tasks.pose.keypoints import Keypoints


def test_the_task_holds_what_the_config_says(task):
    assert task.input_size == (192, 256)
    assert task.codec == SimCCLabel((192, 256), (4.9, 5.66), 2.0, normalize=False, use_dark=False)
    assert (task.padding, task.to_rgb, task.flip_test) == (1.25, True, False)
    assert task.mean == (123.675, 116.28, 103.53)
    assert task.std == (58.395, 57.12, 57.375)
    assert isinstance(task.keypoints, Keypoints)
    assert task.keypoints.names[:2] == ("nose", "left_eye")


def test_a_composed_node_and_json_give_the_same_task(task, node):
    assert build_task(OmegaConf.create(node)) == task
    assert build_task(json.loads(json.dumps(node))) == task


def test_a_whole_number_is_a_number(node):
    node["padding"] = 1
    assert build_task(node).padding == 1.0


def test_parts_need_no_target(node):
    del node["keypoints"]["_target_"]
    assert isinstance(build_task(node), TopdownPose)


@pytest.mark.parametrize(
    ("keys", "value", "where", "said"),
    [
        (["pading"], 1.25, "model.processing.pading", "did you mean padding"),
        (["codec", "use_drak"], True, "model.processing.codec.use_drak", "did you mean use_dark"),
        ([7], 1, "model.processing.7", "choose one of"),
        (["padding"], "1.25", "model.processing.padding", "must be a number"),
        (["padding"], True, "model.processing.padding", "must be a number"),
        (["padding"], float("nan"), "model.processing.padding", "must be finite"),
        (["flip_test"], 1, "model.processing.flip_test", "must be true or false"),
        (["input_size"], [192], "model.processing.input_size", "must have 2 items"),
        (["input_size"], "192x256", "model.processing.input_size", "must be a list"),
        (["input_size", 0], 192.5, "model.processing.input_size[0]", "must be a whole number"),
        (["keypoints", "names", 3], None, "model.processing.keypoints.names[3]", "must be a text"),
        (
            ["keypoints", "skeleton", 0],
            {"ends": ["nose", "nose"]},
            "model.processing.keypoints.skeleton[0].color",
            "is missing",
        ),
        (["codec"], "SimCCLabel", "model.processing.codec", "not a group of keys"),
        (
            ["codec", "_target_"],
            "compiler.tasks.pose.codecs.SimCLabel",
            "model.processing.codec._target_",
            "SimCCLabel",
        ),
        (["codec", "_target_"], "os.path.join", "model.processing.codec._target_", "is not a Codec"),
        (["_target_"], "compiler.tasks.nowhere.TopdownPose", "model.processing._target_", "cannot be imported"),
        (["_target_"], "compiler.tasks.pose.codecs.SimCCLabel", "model.processing._target_", "is not a Task"),
        (["_target_"], "TopdownPose", "model.processing._target_", "cannot be imported"),
        (["input_size"], [256, 256], "model.processing", "the codec's is (192, 256)"),
        (["std"], [1, 0, 1], "model.processing", "must be positive"),
        (["codec", "simcc_split_ratio"], 0, "model.processing.codec", "must be positive"),
        (["keypoints", "swap", 0], 1, "model.processing.keypoints", "swap[0] is 1"),
        (["keypoints", "swap", 0], 99, "model.processing.keypoints", "swap[0] is 99"),
        (["keypoints", "names", 1], "nose", "model.processing.keypoints", "unique"),
        (["keypoints", "colors", 1], [0, 0, 256], "model.processing.keypoints", "[0, 0, 256]"),
        (["keypoints", "skeleton", 0, "ends"], ["nose", "tail"], "model.processing.keypoints", "links tail"),
    ],
)
def test_a_wrong_key_is_named(node, keys, value, where, said):
    parent = node
    for key in keys[:-1]:
        parent = parent[key]
    parent[keys[-1]] = value
    with pytest.raises(UsageError) as caught:
        build_task(node)
    assert caught.value.where == where
    assert said in str(caught.value)


@pytest.mark.parametrize("key", ["_target_", "input_size", "codec", "keypoints"])
def test_a_missing_key_is_named(node, key):
    shorter = copy.deepcopy(node)
    del shorter[key]
    with pytest.raises(UsageError, match=rf"model\.processing\.{key}. is missing"):
        build_task(shorter)


def test_tasks_need_neither_torch_nor_hydra(node):
    code = (
        "import json, sys; from compiler.tasks import build_task; build_task(json.load(sys.stdin)); "
        "print(*{'torch', 'hydra', 'omegaconf'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(node),
        text=True,
        capture_output=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert (run.returncode, run.stdout.strip(), run.stderr.strip()) == (0, "", "")
