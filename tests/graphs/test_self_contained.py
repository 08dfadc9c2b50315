"""ONNX files whose numbers lie elsewhere are told apart from those that hold them, wherever in them a tensor is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compiler.errors import CompileError
from compiler.graphs.self_contained import PARTS, require_self_contained
from compiler.stages import ProgramArtifact


def tensor(external: bool):
    found = numpy_helper.from_array(np.arange(4, dtype=np.float32), "weights")
    if external:
        found.ClearField("raw_data")
        found.data_location = TensorProto.EXTERNAL
        found.external_data.add(key="location", value="../../etc/passwd")
    return found


def constant(external: bool):
    return helper.make_node("Constant", [], ["c"], value=tensor(external))


def graph(nodes=(), initializers=(), sparse=()):
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])
    return helper.make_graph(nodes, "graph", [], [output], initializers, sparse_initializer=sparse)


def in_sparse(external: bool):
    values, indices = tensor(external), numpy_helper.from_array(np.arange(4), "indices")
    return helper.make_sparse_tensor(values, indices, [8])


def in_function(external: bool):
    function = helper.make_function("own", "F", [], ["c"], [constant(external)], [helper.make_opsetid("", 18)])
    return helper.make_model(graph(), functions=[function])


def in_training(external: bool):
    model = helper.make_model(graph())
    model.training_info.add().algorithm.CopyFrom(graph(initializers=[tensor(external)]))
    return model


def in_branch(external: bool):
    branches = {name: graph([constant(external)]) for name in ("then_branch", "else_branch")}
    return helper.make_model(graph([helper.make_node("If", ["b"], ["y"], **branches)]))


def of_many(external: bool):
    node = helper.make_node("Own", [], ["y"])
    node.attribute.add(name="many", type=onnx.AttributeProto.TENSORS).tensors.extend([tensor(False), tensor(external)])
    return helper.make_model(graph([node]))


PLACES = {
    "initializer": lambda external: helper.make_model(graph(initializers=[tensor(external)])),
    "constant": lambda external: helper.make_model(graph([constant(external)])),
    "sparse": lambda external: helper.make_model(graph(sparse=[in_sparse(external)])),
    "function": in_function,
    "training": in_training,
    "branch": in_branch,
    "many": of_many,
}


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
def test_numbers_in_other_files_are_refused_and_the_same_in_the_file_are_not(tmp_path, make):
    path = tmp_path / "end2end.onnx"
    path.write_bytes(make(False).SerializeToString())
    require_self_contained(path)
    path.write_bytes(make(True).SerializeToString())
    with pytest.raises(CompileError, match=r"end2end\.onnx keeps numbers in other files") as caught:
        require_self_contained(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("content", [b"", b"\xff" * 30, b"\x0b\x00", b"no ONNX file", b"\x3a" + b"\xff" * 9])
def test_what_is_no_onnx_file_is_refused(tmp_path, content):
    path = tmp_path / "end2end.onnx"
    path.write_bytes(content)
    with pytest.raises(CompileError, match="is not a valid ONNX file"):
        require_self_contained(path)


def test_every_place_of_a_tensor_is_known_that_onnx_has():
    """Against onnx's own description of its messages."""
    kinds = {
        "model": onnx.ModelProto,
        "training": onnx.TrainingInfoProto,
        "graph": onnx.GraphProto,
        "function": onnx.FunctionProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "sparse": onnx.SparseTensorProto,
        "tensor": onnx.TensorProto,
    }
    names = {kind.DESCRIPTOR.name: name for name, kind in kinds.items()}
    for name, kind in kinds.items():
        inner = {field.number: field.message_type for field in kind.DESCRIPTOR.fields if field.message_type}
        known = {number: names[message.name] for number, message in inner.items() if message.name in names}
        if name == "node":
            known[onnx.NodeProto.OP_TYPE_FIELD_NUMBER] = "operator"
        if name == "tensor":
            known[onnx.TensorProto.EXTERNAL_DATA_FIELD_NUMBER] = "external"
        assert PARTS[name] == known


DISGUISED = {
    "cut to 32 bits": b"\xea\x80\x80\x80\x10",
    "longer than it needs": b"\xea\x80\x00",
    "of field 0": b"\x02",
}
"""Tags that one parser takes for that of `external_data`, and another does not."""


@pytest.mark.parametrize("tag", DISGUISED.values(), ids=DISGUISED)
def test_a_tag_that_parsers_may_differ_on_is_refused(tmp_path, tag):
    content = helper.make_model(graph()).SerializeToString()
    path = tmp_path / "end2end.onnx"
    hidden = b"\x2a" + bytes([len(tag) + 1]) + tag + b"\x00"
    path.write_bytes(content + b"\x3a" + bytes([len(hidden)]) + hidden)
    with pytest.raises(CompileError, match="is not a valid ONNX file"):
        require_self_contained(path)


def test_a_part_that_ends_behind_the_whole_is_refused(tmp_path):
    path = tmp_path / "end2end.onnx"
    path.write_bytes(b"\x3a\x02\x2a\x05" + bytes(5))
    with pytest.raises(CompileError, match="is not a valid ONNX file"):
        require_self_contained(path)


def test_what_only_onnx_finds_wrong_with_a_file_of_a_bundle_is_one_error_too(tmp_path):
    path = tmp_path / "end2end.onnx"
    path.write_bytes(b"\x12\x03\xff\xfe\xfd" + b"\x3a\x02\x0a\x00" + b"\x3a\x04\x5a\x02\x0a\x05")
    with pytest.raises(CompileError, match="is not a valid ONNX file"):
        ProgramArtifact.from_file(path)


@pytest.mark.parametrize("place", ["graph", "function", "branch"])
def test_an_engine_that_stands_in_for_a_graph_is_refused_wherever_it_stands(tmp_path, place):
    def saved(operator):
        node = helper.make_node(operator, [], ["c"], domain="com.microsoft", ep_cache_context="/etc/passwd")
        nodes, functions = [node], []
        if place == "function":
            opset = [helper.make_opsetid("com.microsoft", 1)]
            nodes, functions = [], [helper.make_function("own", "F", [], ["c"], [node], opset)]
        if place == "branch":
            branch = helper.make_graph([node], "branch", [], [])
            nodes = [helper.make_node("If", ["a"], ["c"], then_branch=branch, else_branch=branch)]
        path = tmp_path / f"{operator}.onnx"
        path.write_bytes(helper.make_model(graph(nodes), functions=functions).SerializeToString())
        return path

    require_self_contained(saved("EPContextual"))
    with pytest.raises(CompileError, match="brings an engine that was compiled already"):
        require_self_contained(saved("EPContext"))
