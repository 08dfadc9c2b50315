"""The grammar of deploy names: a name is taken apart and put together again, and a wrong one says what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.config.deploy_name import PRECISIONS, DeployName, Shape
from compiler.errors import UsageError

BACKENDS = ("onnxruntime", "tensorrt", "tensorrt_rtx", "openvino", "ncnn")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "pose-detection_simcc_tensorrt-fp16_dynamic_256x192",
            DeployName("pose-detection", "simcc", "tensorrt", "fp16", Shape(True, (256, 192))),
        ),
        (
            "detection_retinanet_openvino-int8_static_800x1344",
            DeployName("detection", "retinanet", "openvino", "int8", Shape(False, (800, 1344))),
        ),
        (
            "text-recognition_crnn_onnxruntime_dynamic_1x32x32-1x32x640",
            DeployName("text-recognition", "crnn", "onnxruntime", "fp32", Shape(True, (1, 32, 32), (1, 32, 640))),
        ),
        (
            "pose-detection_rtmpose-s_tensorrt_rtx-bf16_static",
            DeployName("pose-detection", "rtmpose-s", "tensorrt_rtx", "bf16", Shape(False)),
        ),
        ("detection_ncnn_dynamic", DeployName("detection", None, "ncnn", "fp32", Shape(True))),
    ],
)
def test_a_name_is_read_and_written(name, parts):
    assert DeployName.parse(name, BACKENDS) == parts
    assert str(parts) == name


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("pose-detection_simcc_tensorrt-fp16_dynamic-256x192", "pose-detection_simcc_tensorrt-fp16_dynamic_256x192"),
        ("detection_tensorrt_dynamic-320x320-1344x1344", "detection_tensorrt_dynamic_320x320-1344x1344"),
        (
            "text-recognition_tensorrt_dynamic-1x32x32-1x32x640",
            "text-recognition_tensorrt_dynamic_1x32x32-1x32x640",
        ),
        ("detection_onnxruntime_static", "detection_onnxruntime_static"),
        ("single-stage_ncnn-fp16_static-320x320", "single-stage_ncnn-fp16_static_320x320"),
        ("detection_tensorrt_rtx-int8_dynamic-64x64", "detection_tensorrt_rtx-int8_dynamic_64x64"),
        ("pose-detection_simcc_onnxruntime-fp32_dynamic", "pose-detection_simcc_onnxruntime_dynamic"),
    ],
)
def test_mmdeploys_spelling_is_understood(theirs, ours):
    assert str(DeployName.parse(theirs, BACKENDS)) == ours
    assert DeployName.parse(theirs, BACKENDS) == DeployName.parse(ours, BACKENDS)


@pytest.mark.parametrize("backends", [("tensorrt", "tensorrt_rtx"), ("tensorrt_rtx", "tensorrt")])
def test_the_longer_of_two_backends_is_found_whatever_their_order(backends):
    assert DeployName.parse("detection_tensorrt_rtx_static", backends).backend == "tensorrt_rtx"
    assert DeployName.parse("detection_tensorrt_static", backends).backend == "tensorrt"


def test_an_algorithm_may_be_called_like_a_backend():
    name = DeployName.parse("detection_openvino_tensorrt_static", BACKENDS)
    assert (name.algo, name.backend) == ("openvino", "tensorrt")


words = st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True)
sizes = st.lists(st.integers(1, 9999), min_size=1, max_size=4).map(tuple)


@st.composite
def shapes(draw):
    dynamic, usual = draw(st.booleans()), draw(st.just(()) | sizes)
    if not dynamic or not usual or draw(st.booleans()):
        return Shape(dynamic, usual)
    return Shape(dynamic, usual, tuple(side + draw(st.integers(0, 2000)) for side in usual))


names = st.builds(
    DeployName,
    task=words,
    algo=st.none() | words,
    backend=st.sampled_from(BACKENDS),
    precision=st.sampled_from(PRECISIONS),
    shape=shapes(),
)


@given(names)
def test_reading_what_was_written_gives_the_same_name(name):
    assert DeployName.parse(str(name), BACKENDS) == name


@given(shapes())
def test_reading_what_was_written_gives_the_same_shape(shape):
    assert Shape.parse(str(shape)) == shape


@given(st.text(max_size=60) | names.map(str).map(str.upper))
def test_any_text_is_a_name_or_refused(text):
    try:
        name = DeployName.parse(text, BACKENDS)
    except UsageError as error:
        assert error.fix  # noqa: PT017
    else:
        assert DeployName.parse(str(name), BACKENDS) == name


@pytest.mark.parametrize(
    ("name", "where", "said"),
    [
        ("detection_tensort_static", "deploy: 'tensort'", "did you mean tensorrt"),
        ("detection_retinanet_coreml-fp16_dynamic_320x320", "deploy: 'coreml'", "choose one of: ncnn, onnxruntime"),
        ("detection_retinanet_tensorrt-fp8_static", "deploy", "fp32, fp16, bf16, int8"),
        ("tensorrt_static", "deploy", "<task>_<algo>_<backend>"),
        ("detection_retinanet_tensorrt", "deploy", "<task>_<algo>_<backend>"),
        ("detection_retinanet_tensorrt_fixed_320x320", "deploy", "<task>_<algo>_<backend>"),
        ("Detection_tensorrt_static", "deploy", "<task>_<algo>_<backend>"),
        ("detection_tensorrt_static_320x320 ", "deploy", "<task>_<algo>_<backend>"),
        ("voxel-detection_tensorrt_dynamic-kitti-32x4", "deploy", "<task>_<algo>_<backend>"),
        ("", "deploy", "<task>_<algo>_<backend>"),
        ("detection_tensorrt_dynamic_1344x1344-320x320", "shape", "write the smaller size first"),
        ("detection_tensorrt_static_320x320-640x640", "shape", "has two sizes"),
        ("detection_tensorrt_static_0x320", "shape", "a side of zero"),
        ("detection_tensorrt_static_320x", "shape", "is not a shape"),
    ],
)
def test_a_wrong_name_says_what_is_wrong(name, where, said):
    with pytest.raises(UsageError) as caught:
        DeployName.parse(name, BACKENDS)
    assert caught.value.where == where
    assert said in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize("text", ["dynamic", "static", "static_8", "dynamic_320x320-320x640", "dynamic-1x2x3"])
def test_a_shape_may_stand_alone(text):
    assert str(Shape.parse(text)) == text.replace("c-", "c_")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("256x192", "a shape is dynamic or static"),
        ("dynamic_", "a shape is dynamic or static"),
        ("dynamic_256x-192", "a shape is dynamic or static"),
        ("dynamic_1x1-2x2-3x3", "a shape is dynamic or static"),
        ("dynamic_320x0-320x320", "a side of zero"),
        ("dynamic_320x320-640x160", "from small to large"),
        ("dynamic_320x320-640", "do not have the same sides"),
    ],
)
def test_a_wrong_shape_says_what_is_wrong(text, said):
    with pytest.raises(UsageError, match=said):
        Shape.parse(text)


@pytest.mark.parametrize(
    ("text", "advised"),
    [
        ("dynamic_640x640-320x320", "dynamic_320x320-640x640"),
        ("dynamic_320x640-640x320", "dynamic_320x320-640x640"),
        ("dynamic_320x320-640", "dynamic_320x320-320x320"),
    ],
)
def test_the_advice_for_an_impossible_range_is_itself_a_shape(text, advised):
    with pytest.raises(UsageError) as caught:
        Shape.parse(text)
    assert str(Shape.parse(caught.value.fix.rpartition(" ")[2])) == advised


def test_the_models_own_size_fills_in_only_what_was_left_out():
    assert Shape.parse("static").with_default([256, 192]) == Shape(False, (256, 192))
    assert Shape.parse("dynamic_64x64-128x128").with_default([256, 192]) == Shape(True, (64, 64), (128, 128))
