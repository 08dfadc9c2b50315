"""A command of MMDeploy's, pasted behind `python -m compiler`, is answered with ours."""

import shlex

import pytest

from compiler.cli.verbs import understood
from compiler.errors import UsageError

DEPLOY = "tools/deploy.py configs/mmdet/detection/detection_onnxruntime_dynamic.py mine.py mine.pth street.jpg"


def answer(line):
    with pytest.raises(UsageError, match="is a command of MMDeploy's") as caught:
        understood(shlex.split(line))
    return caught.value


@pytest.mark.parametrize(
    "before",
    [
        *("", "python ", "python3 ", "python3.11 ", "/opt/conda/bin/python3.10 "),
        *("python -u ", "python -W ignore -u ", "python3 -Wignore -X dev "),
    ],
)
def test_deploy_becomes_a_compile(before):
    ours = answer(f"{before}{DEPLOY} --work-dir out --device cuda:0 --show --dump-info")
    assert ours.fix.splitlines()[0] == (
        "python -m compiler deploy=detection_onnxruntime_dynamic model=openmmlab model.config=mine.py "
        "checkpoint=mine.pth input=street.jpg output=out"
    )
    assert "--show: the pictures" in ours.why
    assert "--device: " in ours.why


def test_what_it_answers_is_a_command_line_of_ours():
    words = shlex.split(answer(f"{DEPLOY} --test-img a.jpg b.jpg --calib-dataset-cfg=data.py").fix.splitlines()[0])[3:]
    verb, given = understood(words)
    assert verb.name == "compile"
    assert given.overrides == words
    assert "calibration.data=data.py" in words
    assert "a.jpg" not in words
    assert "b.jpg" not in words


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("tools/check_env.py", "python -m compiler doctor"),
        (
            "./tools/onnx2tensorrt.py detection_tensorrt_static.py net.onnx net --device-id 1",
            "python -m compiler model=onnx model.file=net.onnx backend=tensorrt backend.device=1",
        ),
        (
            "mmdeploy/tools/profiler.py detection_onnxruntime_static.py mine.py photos --shape 640x640 --batch-size 2",
            "python -m compiler deploy=detection_onnxruntime_static model=openmmlab model.config=mine.py "
            "shape=static_640x640 batch.usual=2",
        ),
        (
            "tools/test.py detection_onnxruntime_static.py mine.py --model end2end.onnx --out results.pkl",
            "python -m compiler deploy=detection_onnxruntime_static model=openmmlab model.config=mine.py",
        ),
    ],
)
def test_every_tool_has_its_answer(line, ours):
    assert answer(line).fix.splitlines()[0] == ours


def test_what_is_missing_is_named():
    assert "checkpoint=CHECKPOINT" in answer("tools/deploy.py detection_onnxruntime_static.py mine.py").fix


def test_a_path_with_a_space_stays_one_word():
    assert "checkpoint='my file.pth'" in answer("tools/deploy.py a.py mine.py 'my file.pth' street.jpg").fix


def test_a_flag_that_mmdeploy_has_not_is_said():
    assert "--shw: is no flag of MMDeploy 1.3.1's" in answer(f"{DEPLOY} --shw").why


@pytest.mark.parametrize(
    "line", ["mine.py", "python3.11 mine.py", "python -u", "pythonic tools/deploy.py", "python -c 1"]
)
def test_what_is_no_script_of_mmdeploys_is_no_command_of_its(line):
    words = shlex.split(line)
    with pytest.raises(UsageError, match=f"there is no verb '{words[0]}'"):
        understood(words)
