"""The ranges that calibration finds, and the file that they are kept in."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compiler.config.schema import CALIBRATION_METHODS
from compiler.errors import CompileError, UsageError
from compiler.precision.int8 import calibration
from compiler.precision.int8.calibration import METHODS, calibrate
from compiler.precision.int8.histograms import (
    BINS,
    PERCENTILE,
    MagnitudeHistogram,
    entropy_threshold,
    percentile_threshold,
)
from compiler.precision.int8.quantize import quantize
from compiler.precision.int8.schemes import ONNX_RUNTIME_VNNI, TENSORRT
from compiler.precision.int8.table import CalibrationTable
from tests.precision.quantizing import images, model, run_fast, table_of

CHAIN = "c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  r1 = Relu (c1)  y = Conv (r1, w2, b2)"

every_method = pytest.mark.parametrize("method", METHODS)


def histogram_of(*batches):
    histogram = MagnitudeHistogram()
    for batch in batches:
        histogram.add(np.asarray(batch, np.float32))
    return histogram


def test_min_max_is_the_range_of_everything_that_was_seen():
    batches = [images(seed=1), images(3, size=12, seed=2)]
    table = calibrate(model(CHAIN), iter(batches))
    seen = model(CHAIN, outputs="r1")
    values = np.concatenate([run_fast(seen, batch)["r1"].ravel() for batch in batches])
    r1 = table.ranges["r1"]
    assert (r1.low, r1.high) == pytest.approx((float(values.min()), float(values.max())), rel=1e-6)
    assert table.ranges["x"].low == min(float(batch["x"].min()) for batch in batches)
    assert table.items == 5


MEASURED = """
import resource
import numpy as np
from compiler.precision.int8.calibration import calibrate
from tests.precision.test_calibration import deep

model = deep(40)
calibrate(deep(1), [{"x": np.zeros((1, 8, 16, 16), np.float32)}])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table = calibrate(model, [{"x": np.ones((1, 8, 384, 384), np.float32)}])
assert len(table.ranges) == 40
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def deep(layers):
    """Return a model of as many convolutions, one behind the other."""
    names = ["x", *(f"t{index}" for index in range(1, layers)), "y"]
    body = " ".join(f"{after} = Conv <pads = [1, 1, 1, 1]> ({before}, w)" for before, after in pairwise(names))
    text = f"""<ir_version: 8, opset_import: ["": 18]> g (float[1, 8, h, w] x) => (float[1, 8, h, w] y) {{ {body} }}"""
    made = onnx.parser.parse_model(text)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.full((8, 8, 3, 3), 0.01, np.float32), "w"))
    return made


@pytest.mark.skipif(sys.platform == "win32", reason="there is no resource module")
def test_a_range_needs_the_memory_of_a_run_and_not_of_all_activations():
    run = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    unit = 1 if sys.platform == "darwin" else 1024
    all_of_them = 40 * 8 * 384 * 384 * 4
    assert int(run.stdout) * unit < all_of_them / 3


def test_an_empty_tensor_has_no_range():
    body = "t = Slice (x, zero, zero, one)  c1 = Conv (x, w1)  e = Concat <axis = 1> (t, t)  y = Conv (c1, w3)"
    graph = model(body, zero=np.array([0]), one=np.array([1]))
    assert table_of(graph).ranges.keys() == {"x", "c1"}


def test_the_config_offers_every_method():
    assert set(METHODS) == set(CALIBRATION_METHODS)


def test_only_what_a_layer_reads_is_calibrated():
    assert table_of(model(CHAIN)).ranges.keys() == {"x", "r1"}


def test_shapes_that_travel_through_the_same_operators_are_not():
    body = "c1 = Conv (x, w1)  n = Shape (c1)  t = Slice (n, zero, two)  r = Reshape (c1, n)  y = Conv (r, w3)"
    graph = model(body, zero=np.array([0]), two=np.array([2]))
    assert table_of(graph).ranges.keys() == {"x", "c1", "r"}


@every_method
def test_a_method_never_widens_a_range(method):
    graph = model(CHAIN)
    widest, found = table_of(graph).ranges, table_of(graph, method).ranges
    assert found.keys() == widest.keys()
    for name, values in found.items():
        assert widest[name].low <= values.low <= values.high <= widest[name].high


@pytest.mark.parametrize("method", ["entropy", "percentile"])
def test_a_lone_outlier_is_clipped_but_by_min_max(method):
    batch = images(4, size=64)
    batch["x"][0, 0, 0, 0] = 1000.0
    graph = model("y = Conv (x, w1)")
    assert calibrate(graph, [batch]).ranges["x"].high == 1000.0
    assert calibrate(graph, [batch], method).ranges["x"].high < 100.0


@every_method
def test_the_order_and_size_of_batches_do_not_matter_much(method):
    graph, batch = model(CHAIN), images(8, size=16)
    whole = calibrate(graph, [batch], method).ranges
    halves = calibrate(graph, [{"x": batch["x"][4:]}, {"x": batch["x"][:4]}], method).ranges
    for name, values in whole.items():
        assert halves[name].high == pytest.approx(values.high, rel=0.1)


def test_a_tensor_that_reaches_infinity_has_no_range():
    graph = model("c1 = Conv (x, w1)  i = Div (c1, zero)  y = Conv (i, w3)", zero=np.float32(0))
    for method in METHODS:
        table = calibrate(graph, [{"x": np.ones((1, 3, 8, 8), np.float32)}], method)
        assert table.ranges.keys() == {"x"}
        assert table.unbounded == ("i",)


def test_an_unknown_method_offers_the_nearest():
    with pytest.raises(UsageError, match="did you mean min_max"):
        calibrate(model(CHAIN), [images()], "minmax")


@pytest.mark.parametrize("batches", [[], [{"x": np.zeros((0, 3, 8, 8), np.float32)}]], ids=["no batch", "no item"])
def test_nothing_to_calibrate_on_is_an_error(batches):
    with pytest.raises(CompileError, match="nothing to calibrate on"):
        calibrate(model(CHAIN), batches)


def test_a_batch_that_holds_nan_is_named():
    bad = images()
    bad["x"][1, 2, 3, 4] = np.nan
    with pytest.raises(CompileError) as error:
        calibrate(model(CHAIN), [images(), bad])
    assert "batch 1" in str(error.value)
    assert "x holds NaN" in str(error.value)


def test_a_model_that_computes_nan_is_an_error_that_names_the_tensor():
    graph = model("a = Abs (x)  n = Neg (a)  s = Sqrt (n)  y = Conv (s, w1)")
    with pytest.raises(CompileError) as error:
        table_of(graph)
    assert "the model computes values that are not numbers" in str(error.value)
    assert "s holds NaN" in str(error.value)


def test_a_batch_of_another_shape_is_an_error():
    with pytest.raises(CompileError, match="does not run on this input"):
        calibrate(model(CHAIN), [{"x": np.zeros((1, 5, 8, 8), np.float32)}])


def test_one_table_serves_every_scheme_without_running_the_model_again(tmp_path, monkeypatch):
    graph = model(CHAIN)
    table_of(graph).save(tmp_path / "table.json")
    monkeypatch.setattr(calibration, "OnnxRuntimeSession", lambda *_: pytest.fail("the model was run"))
    table = CalibrationTable.load(tmp_path / "table.json")
    assert quantize(graph, table, ONNX_RUNTIME_VNNI).layers == quantize(graph, table, TENSORRT).layers == ("c1", "y")


@every_method
def test_a_table_comes_back_as_it_was_saved(method, tmp_path):
    table = replace(table_of(model(CHAIN), method), unbounded=("i",))
    table.save(tmp_path / "table.json")
    assert CalibrationTable.load(tmp_path / "table.json") == table


def test_a_table_can_be_read(tmp_path):
    table_of(model(CHAIN)).save(tmp_path / "table.json")
    values = json.loads((tmp_path / "table.json").read_text())
    assert values["method"] == "min_max"
    assert values["items"] == 4
    assert values["ranges"]["r1"]["low"] == 0.0


def test_the_digests_tell_models_and_data_apart():
    table = calibrate(model(CHAIN), [images(seed=1)])
    assert table == calibrate(model(CHAIN), [images(seed=1)])
    assert table.data != calibrate(model(CHAIN), [images(seed=2)]).data
    assert table.model != calibrate(model(CHAIN, b1=np.zeros(4, np.float32)), [images(seed=1)]).model


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"format": "other"}, "its format is 'other'"),
        ({"surplus": 1}, "unknown keys: surplus"),
        ({"items": "four"}, "items is not a number"),
        ({"method": 3}, "method is not text"),
        ({"ranges": {"x": {"low": 1.0, "high": 0.0}}}, "the range of x"),
        ({"ranges": {"x": {"low": "-inf", "high": 0.0}}}, "the range of x"),
        ({"ranges": {"x": {"low": 0.0}}}, "high"),
        ({"ranges": [1]}, "list"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_damaged_table_is_one_error_that_says_what_is_wrong(tmp_path, change, why):
    path = tmp_path / "table.json"
    table_of(model(CHAIN)).save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CompileError) as error:
        CalibrationTable.load(path)
    assert "this is not a calibration table" in str(error.value)
    assert why in str(error.value)


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "\0"])
def test_a_foreign_file_is_not_a_table(tmp_path, text):
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(CompileError, match="this is not a calibration table"):
        CalibrationTable.load(tmp_path / "table.json")


def test_a_missing_file_is_not_a_table(tmp_path):
    with pytest.raises(CompileError, match="this is not a calibration table"):
        CalibrationTable.load(tmp_path / "table.json")


floats = arrays(np.float32, st.integers(1, 50), elements=st.floats(-(2.0**60), 2.0**60, width=32))


@given(st.lists(floats, min_size=1, max_size=5))
def test_a_histogram_counts_everything_in_bounded_memory(batches):
    histogram = histogram_of(*batches)
    largest = max(float(np.abs(batch).max()) for batch in batches)
    assert histogram.counts.shape == (BINS,)
    assert histogram.counts.sum() == sum(batch.size for batch in batches)
    assert largest <= histogram.limit <= 2 * largest


def test_a_histogram_that_doubled_counts_as_one_that_knew_the_limit():
    values = np.random.default_rng(0).uniform(0, 8, 10_000)
    grown, known = histogram_of([1.0], values, [8.0]), histogram_of([8.0], [1.0], values)
    assert grown.limit == known.limit == 8.0
    # The value that lay on the last edge at first belongs to the bin below it.
    assert np.abs(grown.counts - known.counts).sum() == 2


def test_a_histogram_that_begins_near_zero_stays_small():
    histogram = histogram_of([1e-30], [1.0])
    assert 1.0 <= histogram.limit < 2.0
    assert histogram.counts.sum() == 2


@pytest.mark.parametrize("threshold", [percentile_threshold, entropy_threshold])
def test_nothing_but_zeros_is_clipped_at_zero(threshold):
    assert threshold(histogram_of([0.0, 0.0])) == 0.0


def test_the_percentile_is_what_its_share_of_values_does_not_exceed():
    values = np.abs(np.random.default_rng(0).normal(size=200_000)).astype(np.float32)
    histogram = histogram_of(values)
    found = percentile_threshold(histogram)
    assert found == pytest.approx(np.quantile(values, PERCENTILE), abs=2 * histogram.limit / BINS)


def test_entropy_clips_a_long_tail_and_keeps_a_uniform_distribution_whole():
    generator = np.random.default_rng(0)
    long_tailed, uniform = generator.laplace(size=500_000), generator.uniform(-1, 1, 500_000)
    assert entropy_threshold(histogram_of(long_tailed)) < 0.9 * np.abs(long_tailed).max()
    assert entropy_threshold(histogram_of(uniform)) == pytest.approx(1.0, rel=0.02)


def test_zeros_do_not_move_the_entropy_threshold():
    values = np.random.default_rng(0).laplace(size=100_000).astype(np.float32)
    padded = np.concatenate([values, np.zeros(1_000_000, np.float32)])
    assert entropy_threshold(histogram_of(padded)) == entropy_threshold(histogram_of(values))


def test_an_input_that_is_one_number_is_one_item():
    graph = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18]> g (float x, float[n, 3] z) => (float[n, 3] y) { y = Mul (z, x) }'
    )
    table = calibrate(graph, [{"x": np.array(2, np.float32), "z": np.ones((4, 3), np.float32)}])
    assert table.items == 1
