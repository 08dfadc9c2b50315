"""What the reference of a proof gave is run once, kept as files, and read again as it was."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from compiler.stages.recorded import OPENED, OUTPUTS, Recorded, Recorder

SAMPLES = {f"{batch}x3": SimpleNamespace(tensors={"x": np.arange(3 * batch).reshape(batch, 3)}) for batch in (1, 2)}


@pytest.fixture
def recorder():
    return Recorder(SAMPLES)


def counted(calls: list[int]):
    def run(tensors):
        calls.append(1)
        return {"y/1": tensors["x"] + 0.5, "file": tensors["x"] > 1}

    return run


def test_each_input_is_run_once_however_often_it_is_asked_for(recorder):
    calls: list[int] = []
    run = recorder.recorded("network", OUTPUTS, counted(calls))
    for _ in range(3):
        for prepared in SAMPLES.values():
            np.testing.assert_array_equal(run(prepared.tensors)["y/1"], prepared.tensors["x"] + 0.5)
    copy = {"x": SAMPLES["1x3"].tensors["x"].copy()}
    assert run(copy)["y/1"].shape == (1, 3), "an input is known by what is in it"
    assert len(calls) == 2
    assert run({"x": np.ones((1, 3))})["y/1"].shape == (1, 3)
    assert len(calls) == 3, "what is no input of the proof is run, and not kept"
    assert run({"x": np.ones((1, 3))})["y/1"].shape == (1, 3)
    assert len(calls) == 4


def test_what_was_kept_is_read_again_under_its_names(recorder, tmp_path):
    run = recorder.recorded("network", OUTPUTS, counted([]))
    opened = recorder.recorded("network", OPENED, lambda tensors: {"boxes": tensors["x"] * 2})
    other = recorder.recorded("rewritten network", OUTPUTS, lambda tensors: {"y": tensors["x"]})
    for prepared in SAMPLES.values():
        run(prepared.tensors)
        other(prepared.tensors)
    opened(SAMPLES["2x3"].tensors)
    recorder.save(tmp_path, "network")

    recorded = Recorded.load(tmp_path, SAMPLES)
    assert recorded.stages == ("network",)
    for prepared in SAMPLES.values():
        found = recorded.outputs_of("network")(prepared.tensors)
        assert list(found) == ["y/1", "file"]
        np.testing.assert_array_equal(found["y/1"], prepared.tensors["x"] + 0.5)
        assert found["file"].dtype == bool
    boxes = recorded.run_of("network", OPENED)(SAMPLES["2x3"].tensors)["boxes"]
    np.testing.assert_array_equal(boxes, [[0, 2, 4], [6, 8, 10]])
    assert recorded.run_of("network", "candidates") is None
    smallest = {"1x3": SAMPLES["1x3"]}
    assert {size for _, _, size in Recorded.load(tmp_path, smallest).kept} == {"1x3"}, "no more than is asked for"


def test_bfloat16_is_kept_in_32_bits(recorder, tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.asarray([[1.5, 2.0, -3.0]], ml_dtypes.bfloat16)
    recorder.recorded("network", OUTPUTS, lambda tensors: {"y": values})(SAMPLES["1x3"].tensors)
    recorder.save(tmp_path, "network")
    found = Recorded.load(tmp_path, SAMPLES).outputs_of("network")(SAMPLES["1x3"].tensors)["y"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [[1.5, 2.0, -3.0]])
