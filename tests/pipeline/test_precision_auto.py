"""`precision=auto`: what is tried, what is chosen, and what is left in the bundle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import compiler
from compiler.config import compose
from compiler.errors import UsageError
from compiler.report import Report
from compiler.stages import read_speed
from tests.onnx_files import save
from tests.precision.quantizing import model

BODY = """
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  f1 = Relu (c1)
    c2 = Conv <pads = [1, 1, 1, 1]> (f1, w2, b2)  f2 = Relu (c2)
    y = Conv (f2, w3)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two convolutions in a file, arrays to prove them on, and the stages that are finished."""
    made = tmp_path_factory.mktemp("auto")
    network = model(BODY)
    for axis, length in zip(network.graph.input[0].type.tensor_type.shape.dim, (1, 3, 8, 8), strict=True):
        axis.dim_value = length
    save(made / "net.onnx", onnx.shape_inference.infer_shapes(network))
    np.savez(made / "x.npz", x=np.random.default_rng(0).normal(size=(1, 3, 8, 8)).astype(np.float32))
    return made


@pytest.fixture
def overrides(folder, tmp_path):
    return [
        "model=onnx",
        f"model.file={folder / 'net.onnx'}",
        f"input={folder / 'x.npz'}",
        "shape=static",
        f"output={tmp_path}",
        f"cache={folder / 'cache'}",
    ]


def taking(monkeypatch, **ratios):
    """Let engines take these shares of fp32's time, by precision, whatever was measured."""

    def read(folder):
        measured = read_speed(folder)
        return replace(measured, milliseconds=ratios[measured.precision], fp32_milliseconds=1.0)

    monkeypatch.setattr("compiler.pipeline.run.read_speed", read)


def test_the_fastest_that_is_proven_is_compiled(overrides, monkeypatch):
    taking(monkeypatch, fp16=1.3, int8=0.6)
    outcome = compiler.compile(*overrides, "precision=auto", listen=lambda event: None)
    assert not outcome.problem
    assert "_onnxruntime-int8_" in outcome.name
    report = Report.load(outcome.bundle)
    assert report.config["precision"] == "int8"
    assert [(one.precision, one.chosen) for one in report.tried] == [("fp32", False), ("fp16", False), ("int8", True)]
    assert [one.speed.ratio for one in report.tried[1:]] == pytest.approx([1.3, 0.6])
    assert report.tried == outcome.tried
    bundles = [path.name for path in outcome.bundle.parent.glob("tensors_*") if path.is_dir()]
    assert bundles == [outcome.name], "what was not chosen leaves none"
    assert str(compose([*overrides, "precision=int8"]).deploy_name) == outcome.name


def test_what_is_not_proven_is_not_chosen_and_takes_its_options_with_it(overrides, monkeypatch):
    taking(monkeypatch, fp16=0.9, int8=0.1)
    strict = ("verify.reduced_tolerance=0.005", "keep_fp32=[Relu]")
    of_int8 = "calibration.method=entropy"
    outcome = compiler.compile(*overrides, "precision=auto", *strict, of_int8, listen=lambda event: None)
    assert "_onnxruntime-fp16_" in outcome.name
    (int8,) = [one for one in outcome.tried if one.precision == "int8"]
    assert "beyond its tolerance" in int8.problem
    assert str(compose([*overrides, "precision=fp16", *strict]).deploy_name) == outcome.name


def test_a_lower_precision_says_what_it_takes_beside_fp32(overrides):
    outcome = compiler.compile(*overrides, "precision=int8", listen=lambda event: None)
    report = Report.load(outcome.bundle)
    assert report.speed == outcome.speed
    assert report.speed.precision == "int8"
    assert report.speed.milliseconds > 0
    assert str(report.speed) in (outcome.bundle / "report.html").read_text().replace("&#39;", "'")


def test_fp32_is_beside_nothing(overrides):
    outcome = compiler.compile(*overrides, listen=lambda event: None)
    assert (outcome.speed, outcome.tried) == (None, ())


@pytest.mark.parametrize("backend", ["tensorrt", "ncnn", "coreml", "torchscript"])
def test_a_backend_whose_engines_are_not_timed_here_is_refused(backend):
    with pytest.raises(UsageError, match="not measured"):
        compose([f"backend={backend}", "model=rtmpose", "precision=auto"])


def test_what_makes_no_bundle_is_told_a_precision(overrides):
    from compiler.pipeline import find_obstacles

    with pytest.raises(UsageError, match="a precision has to be named here"):
        find_obstacles(compose([*overrides, "precision=auto"]))
