"""A stranger's ONNX file runs first in a process with limits: what never ends, or fills memory, ends with a message."""

from __future__ import annotations

import json
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compiler.config.limits import Limits
from compiler.errors import CompileError
from compiler.graphs import ONNX_FILE, Trial
from compiler.graphs.trial import REQUEST, is_out_of_memory, write_answer
from tests.onnx_files import doubling, model, save, value

SHAPES = {"x": ("batch", 3)}
SMALL = Limits(seconds=300, memory=1.5)


def inputs(*counts):
    return [{"x": np.ones((count, 3), np.float32)} for count in counts]


def numbers(name, *values):
    return helper.make_tensor(name, TensorProto.INT64, [len(values)], values)


def large_constant():
    """Return what makes a gigabyte out of one number."""
    zero = helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0])
    nodes = [("ConstantOfShape", ["s"], ["big"], {"value": zero}), ("ReduceMax", ["big"], ["m"], {"keepdims": 0}),
             ("Add", ["x", "m"], ["y"])]  # fmt: skip
    return model(nodes, [value("x")], [value("y")], [numbers("s", 2**30)])


def endless_loop():
    """Return what counts to 2 ** 62."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [value("i", (), TensorProto.INT64), value("go", (), TensorProto.BOOL), value("v")],
        [value("on", (), TensorProto.BOOL), value("w")],
    )
    trips = helper.make_tensor("trips", TensorProto.INT64, [], [2**62])
    go = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    return model([("Loop", ["trips", "true", "x"], ["y"], {"body": body})], [value("x")], [value("y")], [trips, go])


@pytest.fixture
def trial(tmp_path):
    """Run a model as a file of its own."""
    return lambda content, given, limits=SMALL: Trial(save(tmp_path / "x.onnx", content), SHAPES, given, limits).run()


def test_an_ordinary_file_gives_the_shapes_of_its_outputs(trial):
    assert trial(doubling(), inputs(1, 2, 5)) == [{"y": (1, 3)}, {"y": (2, 3)}, {"y": (5, 3)}]


def test_what_needs_more_memory_than_the_limit_says_so(trial):
    with pytest.raises(CompileError, match="the ONNX file fails on its inputs") as caught:
        trial(large_constant(), inputs(1))
    assert "limits.memory" in caught.value.why
    assert "limits.memory=6" in caught.value.fix


def test_what_does_not_end_is_ended(trial):
    with pytest.raises(CompileError, match="the ONNX file fails on its inputs") as caught:
        trial(endless_loop(), inputs(1), Limits(seconds=5))
    assert caught.value.why == "it runs for longer than limits.seconds, which is 5"
    assert "limits.seconds=20" in caught.value.fix


def test_an_input_that_the_file_does_not_take_is_named(trial):
    whole = model([("Reshape", ["x", "s"], ["y"])], [value("x")], [value("y")], [numbers("s", 1, 3)])
    whole.graph.node[0].name = "/memory_attention/alloc"  # which stands in the message of ONNX Runtime
    with pytest.raises(CompileError, match="the ONNX file fails on its inputs") as caught:
        trial(whole, inputs(1, 2))
    assert "given x [2, 3]" in caught.value.why
    assert "memory_attention" in caught.value.why
    assert "limits" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "is_short"),
    [
        ("std::bad_alloc", True),
        ("MemoryError: Unable to allocate 4.0 GiB for an array", True),
        ("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 4294967296", True),
        ("running Reshape node. Name:'/memory_attention/Alloc' the input shape cannot be reshaped", False),
    ],
)
def test_short_of_memory_is_what_a_library_says_and_no_name_of_a_node(said, is_short):
    assert is_out_of_memory(said) is is_short


@pytest.mark.parametrize(("question", "what"), [("types", "cannot be inferred"), ("run", "fails on its inputs")])
def test_what_ends_the_process_while_a_file_is_looked_at_ends_a_child(tmp_path, monkeypatch, question, what):
    crashing = [sys.executable, "-I", "-c", "import os; os.abort()"]
    monkeypatch.setattr("compiler.graphs.trial.isolated_command", lambda *given: crashing)
    trial = Trial(save(tmp_path / "x.onnx", doubling()), SHAPES, inputs(1), SMALL)
    with pytest.raises(CompileError, match=what) as caught:
        getattr(trial, question)()
    assert "ended with SIGABRT" in caught.value.why


def test_the_types_of_a_file_come_from_the_child(tmp_path, monkeypatch):
    def here(*_):
        raise AssertionError("inferred in this process")

    half = model([("Cast", ["x"], ["h"], {"to": TensorProto.FLOAT16}), ("Relu", ["h"], ["r"])], [value("x")], [
        value("r", kind=TensorProto.FLOAT16)])  # fmt: skip
    path = save(tmp_path / "x.onnx", half)
    monkeypatch.setattr("onnx.shape_inference.infer_shapes", here)
    kinds = Trial(path, {}, (), SMALL).types()
    assert (kinds["x"], kinds["h"], kinds["r"]) == (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.FLOAT16)


def test_a_conversion_is_made_in_the_child_first(tmp_path):
    path, asked = save(tmp_path / "x.onnx", doubling()), []

    class Here(Trial):
        def _start(self, folder):
            write_answer(folder, json.loads((folder / REQUEST).read_text()))
            asked.append(onnx.load(folder / ONNX_FILE).opset_import[0].version)
            return 0

    for opset in (0, 20):
        assert Here(path, SHAPES, inputs(1), SMALL, opset).run() == [{"y": (1, 3)}]
    assert asked == [18, 20]
