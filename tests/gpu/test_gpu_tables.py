"""The GPU tests, up to the engine: ONNX Runtime runs in its place."""

import numpy as np
import pytest

from compiler.graphs import OnnxRuntimeSession
from tests.gpu.subjects import subject
from tests.gpu.tables import compare_upsampling, measure, measurement_table, relative_error, upsampling_table

TOLERANCE = 1e-4
QUICKLY = "export.exporter=torchscript"


def cells(table) -> list[list[str]]:
    return [list(column.cells) for column in table.columns]


def test_a_subject_has_inputs_of_every_shape_of_its_profile(tmp_path):
    given = subject(tmp_path / "model", "backend=tensorrt", "model=simcc-mobilenetv2", QUICKLY)
    assert [tensors["input"].shape for tensors in given.inputs] == [
        (1, 3, 256, 192),
        (1, 3, 256, 192),
        (4, 3, 256, 192),
    ]
    assert given.backend.name == "tensorrt"
    rows = measure(
        given.model, given.inputs, given.original, {"it": OnnxRuntimeSession(given.program.path).run}, rounds=1
    )
    assert all(row.error < TOLERANCE and row.milliseconds > 0 for row in rows)
    columns = cells(measurement_table("title", rows))
    assert columns[1] == ["1x3x256x192", "1x3x256x192", "4x3x256x192"]


@pytest.mark.parametrize(("disable", "changes"), [("[nearest_to_bilinear]", False), ("[]", True)])
def test_bilinear_upsampling_changes_the_network_and_nearest_does_not(tmp_path, disable, changes):
    small = ["shape=dynamic_64x64-128x128", "batch.largest=2", f"rewriters.disable={disable}"]
    given = subject(tmp_path / "model", "backend=tensorrt", "model=dbnet", QUICKLY, *small)
    run = OnnxRuntimeSession(given.program.path).run
    plain = OnnxRuntimeSession.as_written(given.program.path).run
    row = compare_upsampling("dbnet", "a mode", given.inputs[0], run, plain, given.original)
    assert row.engine < TOLERANCE
    assert (row.whole > TOLERANCE) == changes
    assert cells(upsampling_table("title", [row]))[:2] == [["dbnet"], ["a mode"]]


def test_the_error_is_that_of_the_worst_output_in_its_own_standard_deviations():
    expected = {"a": np.array([0.0, 2.0]), "b": np.array([0.0, 20.0])}
    found = {"a": np.array([0.0, 2.5]), "b": np.array([1.0, 20.0])}
    assert relative_error(expected, found) == 0.5


def test_a_constant_output_is_compared_as_it_is():
    assert relative_error({"a": np.ones(3)}, {"a": np.ones(3) + 0.25}) == 0.25


@pytest.mark.parametrize("found", [{}, {"b": np.ones(2)}, {"a": np.ones(3)}])
def test_another_output_is_no_small_error(found):
    with pytest.raises(AssertionError):
        relative_error({"a": np.ones(2)}, found)
