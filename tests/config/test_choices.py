"""What is one of a few is refused in one way, whatever backend it belongs to."""

from __future__ import annotations

import pytest

from compiler.backends.coreml.backend import CoreML
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.backends.openvino.backend import OpenVINO
from compiler.backends.rknn.backend import RKNN
from compiler.backends.tensorrt_rtx import TensorRTRTX
from compiler.config.choices import require_choice
from compiler.errors import UsageError


def test_a_choice_passes_and_another_is_told_the_nearest():
    require_choice("range", ("range", "enumerated"), "backend.shapes")
    with pytest.raises(UsageError, match="'rnage' is not a choice of backend.shapes") as caught:
        require_choice("rnage", iter(("range", "enumerated")), "backend.shapes")
    assert (caught.value.where, caught.value.fix) == ("backend.shapes", "did you mean range?")


@pytest.mark.parametrize(
    ("backend", "key", "value", "another"),
    [
        (CoreML, "target", "iOS16", "iOS61"),
        (OnnxRuntime, "cpu", "auto", "avx"),
        (OnnxRuntime, "optimization", "basic", "bsic"),
        (OnnxRuntime, "provider", "cuda", "cdua"),
        (OpenVINO, "hint", "throughput", "throughputs"),
        (RKNN, "target", "rk3588", "rk3589"),
    ],
)
def test_every_backend_says_it_in_the_same_words(backend, key, value, another):
    assert getattr(backend(name="mine", **{key: value}), key) == value
    with pytest.raises(UsageError, match=f"'{another}' is not a choice of backend.{key}") as caught:
        backend(name="mine", **{key: another})
    assert value in caught.value.fix


def test_openvino_may_be_left_to_choose_what_it_computes_in():
    assert OpenVINO(name="mine", inference_precision=None).inference_precision is None


def test_each_of_several_is_a_choice():
    with pytest.raises(UsageError, match="'SM85' is not a choice of backend.compute_capabilities"):
        TensorRTRTX(name="mine", compute_capabilities=("SM86", "SM85"))
