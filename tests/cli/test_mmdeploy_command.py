"""A command of MMDeploy's, pasted behind `python -m compiler`, is answered with ours."""

import shlex

import onnx
import pytest

from compiler.cli.verbs import understood
from compiler.config import compose
from compiler.config.mmdeploy.facts import facts
from compiler.errors import UsageError
from compiler.openmmlab.translated_model import translated_model
from compiler.sources import find_source
from tests.openmmlab.user_config import CONFIG

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


GIVEN = {
    "DEPLOY_CFG": "configs/mmpose/pose-detection_simcc_onnxruntime_dynamic.py",
    "ONNX_PATH": "net.onnx",
    "--work-dir": "out",
    "--shape": "256x192",
    "--batch-size": "2",
    "--device-id": "0",
}
"""What a user of MMDeploy's types, where it is not all the same."""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """The files of the user's that are read before a network is made."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.py").write_text("default_scope = 'mmpose'\n")
    (tmp_path / "mine.py").write_text(CONFIG)
    text = '<ir_version: 8, opset_import: ["": 18]> g (float[n, 3] x) => (float[n, 3] y) { y = Relu (x) }'
    onnx.save(onnx.parser.parse_model(text), "net.onnx")


@pytest.mark.parametrize("tool", [tool for tool, one in facts("commands")["commands"].items() if not one["verb"]])
def test_every_compile_that_is_answered_is_composed_and_its_backend_takes_its_source(files, tool):
    known = facts("commands")["commands"][tool]
    flags = ([flag, *([GIVEN.get(flag, "x")] * (flag not in known["alone"]))] for flag in known["flags"])
    words = [tool, *(GIVEN.get(place, place) for place in known["places"]), *(word for flag in flags for word in flag)]
    fix = answer(shlex.join(words)).fix.splitlines()[0]
    overrides = shlex.split(fix.replace("MODEL_CFG", "mine.py"))[3:]
    with translated_model(overrides) as folder:
        config = compose(overrides, model_folder=folder)
    find_source(config).with_inputs(config)  # which refuses a backend that reads something else


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("tools/check_env.py", "python -m compiler doctor"),
        (
            "./tools/onnx2tensorrt.py detection_tensorrt_static.py net.onnx net --device-id 1",
            "python -m compiler model=onnx model.file=net.onnx backend=tensorrt backend.device=1",
        ),
        (
            "mmdeploy/tools/profiler.py detection_onnxruntime_static.py mine.py photos --shape 640x640 --batch-size 2 "
            "--num-iter 100 --warmup 10 --model end2end.onnx",
            "python -m compiler profile <bundle> photos shape=640x640 batch=2 iterations=100 warmup=10",
        ),
        ("tools/sdk_analyze.py profile.txt", "python -m compiler profile <bundle>"),
        (
            "tools/test.py detection_onnxruntime_static.py mine.py --model end2end.onnx --show-dir shown",
            "python -m compiler evaluate <bundle> dataset=mine.py show_dir=shown",
        ),
    ],
)
def test_every_tool_has_its_answer(line, ours):
    assert answer(line).fix.splitlines()[0] == ours


def test_what_measures_speed_is_answered_with_what_measures_a_bundle():
    told = answer("tools/profiler.py detection_onnxruntime_static.py mine.py photos --shape 640x640 --warmup 10")
    assert "compile first, with deploy=" in told.why
    verb, given = understood(shlex.split(told.fix.splitlines()[0].replace("<bundle>", "outputs/mine"))[3:])
    assert (verb.name, given.paths) == ("profile", ["outputs/mine", "photos"])
    assert given.options == {"shape": "640x640", "warmup": "10"}


def test_what_evaluates_is_answered_with_what_evaluates_a_bundle():
    told = answer("tools/test.py detection_onnxruntime_static.py mine.py --out results.pkl --batch-size 8")
    assert "out=<file>.json writes all numbers" in told.why
    verb, given = understood(shlex.split(told.fix.splitlines()[0].replace("<bundle>", "outputs/mine"))[3:])
    assert (verb.name, given.bundles, given.options) == ("evaluate", ["outputs/mine"], {"dataset": "mine.py"})


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
