"""Which precisions are written into a Program, and which a backend makes of one in fp32 by itself."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import ClassVar

import pytest

from compiler.artifact import TorchScriptProgram
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.backends.tensorrt import TensorRT
from compiler.config.schema import CalibrationConfig
from compiler.errors import UsageError
from compiler.pipeline.job import _check_precision_options

PRECISIONS = ("fp32", "fp16", "bf16", "int8")


@dataclass(frozen=True, kw_only=True)
class HalvesByItself(OnnxRuntime):
    OWN_PRECISIONS: ClassVar[tuple[str, ...]] = ("fp16",)
    KEEPS_FP32: ClassVar[tuple[str, ...]] = ("fp16",)


@dataclass(frozen=True, kw_only=True)
class QuantizesByItself(OnnxRuntime):
    @property
    def quantization(self):
        return None


@dataclass(frozen=True, kw_only=True)
class ReadsArchives(OnnxRuntime):
    PROGRAM: ClassVar = TorchScriptProgram


@pytest.mark.parametrize(
    ("kind", "own"),
    [
        (OnnxRuntime, ()),
        (TensorRT, ()),
        (HalvesByItself, ("fp16",)),
        (QuantizesByItself, ("int8",)),
        (ReadsArchives, ("fp16", "bf16", "int8")),
    ],
)
def test_a_backend_lowers_what_no_graph_is_changed_for(kind, own):
    backend = kind(name="mine")
    assert tuple(filter(backend.lowers, PRECISIONS)) == own


def config(precision, **changes):
    given = {"keep_fp32": (), "calibration": CalibrationConfig(), "precision": precision}
    return SimpleNamespace(**{**given, **changes})


def test_what_stays_in_fp32_is_handed_to_a_backend_that_heeds_it():
    kept = config("fp16", keep_fp32=("Conv",))
    _check_precision_options(kept, HalvesByItself(name="mine"))
    _check_precision_options(kept, OnnxRuntime(name="mine"))
    with pytest.raises(UsageError, match="mine chooses by itself what it computes in fp16") as caught:
        _check_precision_options(kept, ReadsArchives(name="mine"))
    assert caught.value.where == "keep_fp32"


def test_what_a_backend_that_quantises_by_itself_is_not_told_is_refused():
    backend = QuantizesByItself(name="mine")
    _check_precision_options(config("int8"), backend)
    chosen = replace(CalibrationConfig(), method="entropy")
    with pytest.raises(UsageError) as caught:
        _check_precision_options(config("int8", calibration=chosen), backend)
    assert (caught.value.where, caught.value.fix) == ("calibration.method", "leave calibration.method out")
    _check_precision_options(config("int8", calibration=chosen), OnnxRuntime(name="mine"))
