"""Who makes a tensor and who reads it, branches included."""

import onnx

from compiler.graphs import Wiring, attribute_of, default_opset, name_of


def parsed(body, opsets='"": 18'):
    return onnx.parser.parse_model(f"""<ir_version: 8, opset_import: [{opsets}]>
        g (float[n] x, bool yes) => (float[n] y) <float[1] w = {{2.0}}> {{{body}}}""")


CHAIN = parsed("a = Add (x, x)  b = Mul (a, w)  y = Sub (a, b)").graph


def test_producers_and_consumers_with_the_inputs_that_they_are():
    wiring = Wiring.of(CHAIN)
    assert wiring.producers == {"a": 0, "b": 1, "y": 2}
    assert wiring.consumers == {"x": ((0, 0), (0, 1)), "a": ((1, 0), (2, 0)), "w": ((1, 1),), "b": ((2, 1),)}
    assert list(wiring.initializers) == ["w"]
    assert wiring.producer("x") is wiring.producer("w") is None
    assert wiring.producer("b").op_type == "Mul"


def test_neighbours():
    wiring = Wiring.of(CHAIN)
    assert wiring.neighbours("a") == {0, 1, 2}
    assert wiring.neighbours("x") == {0}
    assert (wiring.ahead(2), wiring.behind(0)) == ({0, 1}, {1, 2})
    assert wiring.ahead(0) == wiring.behind(2) == frozenset()


def test_what_a_branch_of_a_branch_reads_is_read_elsewhere():
    wiring = Wiring.of(
        parsed("""a = Abs (x)  b = Neg (x)  y = If (yes) <
            then_branch = t () => (float[n] c) { c = If (yes) <
                then_branch = tt () => (float[n] d) { d = Neg (a) },
                else_branch = te () => (float[n] x) { } > },
            else_branch = e () => (float[n] f) { f = Abs (x) }
        >""").graph
    )
    assert {"a", "x", "y"} <= wiring.read_elsewhere
    assert "b" not in wiring.read_elsewhere


def test_an_input_that_is_left_out_is_read_by_nobody():
    wiring = Wiring.of(parsed("y = Clip (x, , w)").graph)
    assert wiring.consumers == {"x": ((0, 0),), "w": ((0, 2),)}


def test_names_attributes_and_opsets():
    model = parsed("y = LeakyRelu <alpha = 0.5> (x)", '"ai.onnx": 17, "mine": 3')
    node = model.graph.node[0]
    assert (name_of(node), attribute_of(node, "alpha", 0.1), attribute_of(node, "beta", 0.1)) == ("y", 0.5, 0.1)
    node.name = "activation"
    assert name_of(node) == "activation"
    assert default_opset(model) == 17
