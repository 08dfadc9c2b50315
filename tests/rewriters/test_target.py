"""A rewriter's result depends on what it reads of its target, and on no more."""

import copy
import pickle
from dataclasses import asdict, replace

import onnx
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rewriters import Contract, RecordedTarget, Target, function_rewriter, graph_rewriter, module_rewriter, select
from rewriters.apply import apply_graph_rewriter, rewriting, rewritten

VERSIONS = {"torch": "2.9.0", "onnxruntime": "1.23.0"}
TARGET = Target("tensorrt", precision="fp16", batch=2, versions=VERSIONS)


@function_rewriter(F.relu, contract=Contract.exact)
def by_batch(call, *args, **kwargs):
    """Reads the batch."""
    return call.skip(f"the batch is {call.target.batch}")


@module_rewriter(nn.Flatten, contract=Contract.exact)
def by_version(call, module):
    """Reads one library's version."""
    return call.skip(f"torch is {call.target.versions['torch']}")


@module_rewriter(nn.Identity, contract=Contract.exact)
def by_nothing(call, module):
    """Reads nothing."""
    return nn.Identity()


@graph_rewriter(contract=Contract.exact)
def by_precision(call, graph):
    """Reads the precision."""
    return call.skip(f"the precision is {call.target.precision}")


def reads_of(*rewriters, network):
    selection = select(rewriters, TARGET)
    target = RecordedTarget(selection.target)
    applied = rewritten(network, replace(selection, target=target))
    with rewriting(applied):
        applied.network(torch.zeros(2, 3))
    return target.reads


class Functional(nn.Module):
    def forward(self, x):
        return F.relu(x)


def test_what_a_function_rewriter_reads_is_recorded():
    assert reads_of(by_batch, network=Functional()) == {"batch": 2}


def test_what_a_module_rewriter_reads_is_recorded():
    assert reads_of(by_version, network=nn.Flatten()) == {"versions.torch": "2.9.0"}


def test_what_a_graph_rewriter_reads_is_recorded():
    target = RecordedTarget(TARGET)
    graph = onnx.helper.make_graph([], "empty", [], [])
    _, entry = apply_graph_rewriter(onnx.helper.make_model(graph), by_precision, target)
    assert entry.reason == "the precision is fp16"
    assert target.reads == {"precision": "fp16"}


def test_a_rewriter_that_reads_nothing_or_never_runs_leaves_no_record():
    assert reads_of(by_nothing, by_batch, by_version, network=nn.Identity()) == {}


def test_only_what_a_condition_asks_about_decides_a_selection():
    @graph_rewriter(backends={"ncnn"}, precisions={"fp16"}, contract=Contract.exact)
    def for_another_backend(call, graph):
        """The backend alone excludes it."""

    @graph_rewriter(versions={"torch": ">=2", "openvino": ">=2026"}, contract=Contract.exact)
    def for_a_missing_library(call, graph):
        """That a library is missing excludes it."""

    recorded = RecordedTarget(TARGET)
    assert by_precision.conditions.unmet(recorded) == ""
    assert recorded.reads == {}
    selection = select([for_another_backend, for_a_missing_library], recorded)
    assert recorded.reads == {"ir": "onnx", "backend": "tensorrt", "versions.torch": "2.9.0", "versions.openvino": None}
    assert [entry.reason for entry in selection.entries] == [
        "backend is tensorrt, not ncnn",
        "the version of openvino is unknown, and >=2026 is needed",
    ]


def hash_of(target):
    # A target cannot be hashed, because its versions are a dictionary.
    with pytest.raises(TypeError):
        hash(target)


@pytest.mark.parametrize(
    "look",
    [
        repr,
        asdict,
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        lambda target: target == TARGET,
        hash_of,
    ],
)
def test_to_look_at_the_whole_target_is_to_read_all_of_it(look):
    target = RecordedTarget(TARGET)
    look(target)
    assert {**target.reads, **asdict(TARGET)} == target.reads


@pytest.mark.parametrize("look", [list, len, bool, dict, repr, copy.deepcopy, lambda versions: versions == VERSIONS])
def test_to_list_the_versions_is_to_read_every_library(look):
    target = RecordedTarget(TARGET)
    look(target.versions)
    assert target.reads["versions"] == VERSIONS


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (lambda versions: versions.get("openvino"), None),
        (lambda versions: "openvino" in versions, None),
        (lambda versions: "torch" in versions, "2.9.0"),
    ],
)
def test_to_look_up_a_version_is_to_read_that_library_even_where_it_is_missing(look, found):
    target = RecordedTarget(TARGET)
    look(target.versions)
    assert list(target.reads.values()) == [found]


def test_a_recorded_target_equals_the_target_and_its_copy_is_plain():
    recorded = RecordedTarget(TARGET)
    assert recorded == TARGET
    assert recorded == RecordedTarget(TARGET)
    assert recorded != replace(TARGET, batch=1)
    assert isinstance(recorded, Target)
    assert type(copy.deepcopy(recorded)) is Target


@pytest.mark.parametrize(
    ("change", "agrees"),
    [
        ({"backend": "ncnn"}, True),
        ({"batch": 4}, False),
        ({"versions": {**VERSIONS, "onnxruntime": "1.24.0", "openvino": "2026.1"}}, True),
        ({"versions": {**VERSIONS, "torch": "2.10.0"}}, False),
        ({"versions": {}}, False),
    ],
)
def test_another_target_is_compared_by_what_was_read(change, agrees):
    recorded = RecordedTarget(TARGET)
    assert recorded.batch == 2
    assert recorded.versions["torch"] == "2.9.0"
    other = replace(TARGET, **change)
    assert all(other.value_of(path) == value for path, value in recorded.reads.items()) is agrees


def test_a_target_with_another_library_differs_where_all_were_listed():
    recorded = RecordedTarget(TARGET)
    assert sorted(recorded.versions) == ["onnxruntime", "torch"]
    more = replace(TARGET, versions={**VERSIONS, "openvino": "2026.1"})
    assert more.value_of("versions") != recorded.reads["versions"]
    assert TARGET.value_of("versions") == recorded.reads["versions"]


def test_a_copy_with_another_value_is_a_target_too():
    recorded = RecordedTarget(TARGET)
    other = replace(recorded, batch=7)
    assert (other.batch, other.backend) == (7, TARGET.backend)
    assert recorded.reads.keys() >= {"backend", "opset"}, "what is copied is read"
