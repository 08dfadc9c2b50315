"""A few functions can stand for billions of nodes; how many is counted before anything writes them out."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import helper

from compiler.errors import CompileError
from compiler.graphs.node_count import DEEPEST_CALL, check_node_count
from tests.onnx_files import model, value

DOMAIN = "acme"
IMPORTS = [helper.make_opsetid("", 18), helper.make_opsetid(DOMAIN, 1)]


def function(name, *calls):
    """Return a function of one input that calls others one behind the other."""
    nodes = [
        helper.make_node(call, [f"t{place}"], [f"t{place + 1}"], domain=DOMAIN if call.startswith("f") else "")
        for place, call in enumerate(calls)
    ]
    return helper.make_function(DOMAIN, name, ["t0"], [f"t{len(calls)}"], nodes, IMPORTS)


def calling(name, *functions):
    """Return a model that calls one of these functions."""
    whole = model([(name, ["x"], ["y"], {"domain": DOMAIN})], [value("x")], [value("y")], domains=[DOMAIN])
    whole.functions.extend(functions)
    return whole


def doubling(times: int):
    """Return a model of a few lines that stands for 2 ** times nodes."""
    functions = [function(f"f{index + 1}", f"f{index}", f"f{index}") for index in range(times - 1)]
    return calling(f"f{times - 1}", function("f0", "Relu", "Relu"), *functions)


def refused(whole) -> str:
    with pytest.raises(CompileError, match=r"bombs\.onnx is not a valid ONNX file") as caught:
        check_node_count(whole, Path("bombs.onnx"))
    return caught.value.why


def test_functions_that_double_the_nodes_with_every_line_are_refused():
    assert "more than 1,000,000 nodes" in refused(doubling(40))
    assert "more than 1,000,000 nodes" in refused(doubling(20))
    check_node_count(doubling(19), Path("fine.onnx"))  # 524,288 nodes


def test_a_function_that_calls_itself_is_refused():
    assert "or themselves" in refused(calling("f0", function("f0", "f0")))
    assert "or themselves" in refused(calling("f0", function("f0", "f1"), function("f1", "Relu", "f0")))


def test_functions_are_called_no_deeper_than_a_bound():
    def chain(length):
        functions = [function(f"f{index + 1}", f"f{index}") for index in range(length - 1)]
        return calling(f"f{length - 1}", function("f0", "Relu"), *functions)

    check_node_count(chain(DEEPEST_CALL), Path("fine.onnx"))
    assert f"more than {DEEPEST_CALL} deep" in refused(chain(DEEPEST_CALL + 1))


def test_what_a_body_calls_counts():
    branch = helper.make_graph([helper.make_node("f19", ["x"], ["z"], domain=DOMAIN)], "body", [], [value("z")])
    whole = doubling(20)
    whole.graph.node[0].CopyFrom(helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch))
    assert "more than 1,000,000 nodes" in refused(whole)
