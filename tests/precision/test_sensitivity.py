"""Which layers suffer from 8 bits, and how few of them stay in float."""

import numpy as np
import pytest

from compiler.errors import CompileError
from compiler.precision.int8 import sensitivity
from compiler.precision.int8.calibration import calibrate
from compiler.precision.int8.quantize import quantize
from compiler.precision.int8.schemes import ONNX_RUNTIME_VNNI, TENSORRT
from compiler.precision.int8.sensitivity import LayerError, auto_quantize, rank
from tests.precision.quantizing import cosine, images, model, run, table_of

both = pytest.mark.parametrize("scheme", [ONNX_RUNTIME_VNNI, TENSORRT], ids=["onnxruntime", "tensorrt"])

CHAIN = """
    c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (c1)
    c2 = Conv <pads = [1, 1, 1, 1]> (r1, w2, b2)
    c3 = Conv <pads = [1, 1, 1, 1]> (c2, w2)
    y = Conv (c3, w3)
"""


def with_an_outlier():
    """Return a model in which one channel of what `c2` reads is a thousand times larger than what matters there."""
    weights = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    weights[3] *= 1000
    ignoring = np.random.default_rng(1).normal(size=(4, 4, 3, 3)).astype(np.float32)
    ignoring[:, 3] = 1e-4
    return model(CHAIN.replace("(r1, w2, b2)", "(r1, ignoring)"), w1=weights, ignoring=ignoring, b1=np.ones(4, "f4"))


def is_close(graph, reference=None, smallest=0.995):
    expected = run(reference or graph, images())["y"]
    return lambda candidate: cosine(run(candidate, images())["y"], expected) > smallest


@both
def test_every_layer_is_ranked_worst_first(scheme):
    graph = model(CHAIN)
    ranking = rank(graph, table_of(graph), scheme, [images()])
    assert sorted(error.node for error in ranking) == ["c1", "c2", "c3", "y"]
    cosines = [error.cosine_similarity for error in ranking]
    assert cosines == sorted(cosines)
    assert all(error.relative_error > 0 for error in ranking)
    assert all(0.99 < error.cosine_similarity < 1 for error in ranking)


@both
def test_a_layers_error_is_that_of_the_model_with_it_alone_quantised(scheme):
    graph = model(CHAIN)
    table = table_of(graph)
    errors = {error.node: error for error in rank(graph, table, scheme, [images()])}
    expected = run(graph, images())["y"]
    for name, error in errors.items():
        alone = quantize(graph, table, scheme, [other for other in errors if other != name]).model
        found = run(alone, images())["y"]
        assert error.relative_error == pytest.approx(np.abs(found - expected).max() / expected.std(), rel=1e-2)
        assert error.cosine_similarity == pytest.approx(cosine(found, expected), abs=1e-5)


@both
def test_the_layer_that_reads_an_outlier_is_the_worst(scheme):
    graph = with_an_outlier()
    first, second, *_ = rank(graph, table_of(graph), scheme, [images()])
    assert (first.node, first.operator) == ("c2", "Conv")
    assert first.relative_error > 10 * second.relative_error


def test_layers_are_judged_by_the_tensors_that_count():
    graph = model(CHAIN)
    errors = {error.node: error for error in rank(graph, table_of(graph), TENSORRT, [images()], ["c2"])}
    assert errors["c1"].relative_error > 0
    assert errors["c3"].relative_error == errors["y"].relative_error == 0  # they come behind it


def test_the_worst_sample_counts():
    graph = model(CHAIN)
    table = table_of(graph)
    alone = [{e.node: e.relative_error for e in rank(graph, table, TENSORRT, [images(seed=seed)])} for seed in (0, 3)]
    for error in rank(graph, table, TENSORRT, [images(), images(seed=3)]):
        assert error.relative_error == pytest.approx(max(errors[error.node] for errors in alone), rel=1e-6)


def test_no_more_layers_are_ranked_than_asked_for_and_the_noisiest_are():
    graph = with_an_outlier()
    table = table_of(graph)
    everything = rank(graph, table, TENSORRT, [images()])
    assert rank(graph, table, TENSORRT, [images()], most=1) == everything[:1]
    assert rank(graph, table, TENSORRT, [images()], most=4) == everything


def test_the_model_is_opened_once_for_many_layers(monkeypatch):
    opened = []
    graph = model(CHAIN)
    real = sensitivity.OnnxRuntimeSession
    monkeypatch.setattr(
        sensitivity,
        "OnnxRuntimeSession",
        lambda opening, *given, **options: opened.append(len(opening.graph.node)) or real(opening, *given, **options),
    )
    rank(graph, table_of(graph), TENSORRT, [images()])
    # Once to disturb it, once to tap it; the rest are single layers, in float and with their two pairs.
    assert sorted(opened, reverse=True)[:3] == [len(graph.graph.node) + 4, len(graph.graph.node), 4]


@both
def test_auto_leaves_out_exactly_the_layer_that_was_made_bad(scheme):
    graph = with_an_outlier()
    table = table_of(graph)
    ranking = rank(graph, table, scheme, [images()])
    assert not is_close(graph)(quantize(graph, table, scheme).model)
    found = auto_quantize(graph, table, scheme, lambda: ranking, is_close(graph))
    assert is_close(graph)(found.model)
    assert [entry.node for entry in found.excluded] == ["c2"]
    assert (
        found.excluded[0].why == f"alone it moves an output by {ranking[0].relative_error:.3g} {ranking[0].yardstick}"
    )


@both
def test_auto_leaves_out_nothing_where_the_proof_holds_at_once(scheme):
    graph = model(CHAIN)
    calls = []
    found = auto_quantize(graph, table_of(graph), scheme, list, lambda candidate: calls.append(candidate) or True)
    assert found.excluded == ()
    assert len(calls) == 1


def test_auto_keeps_what_was_left_out_anyway():
    graph = with_an_outlier()
    table = table_of(graph)
    ranking = rank(graph, table, TENSORRT, [images()])
    found = auto_quantize(graph, table, TENSORRT, lambda: ranking, is_close(graph), exclude=["y"])
    assert {entry.node: entry.why[:5] for entry in found.excluded} == {"c2": "alone", "y": "asked"}


@pytest.mark.parametrize("needed", range(1, 20))
def test_auto_finds_the_fewest_in_few_proofs(needed):
    """The proof asks for a number of layers in float; there are twenty."""
    graph = model("".join(f"v{i} = Conv ({'x' if i == 0 else f'v{i - 1}'}, k)" for i in range(20)) + "y = Relu (v19)", k=np.eye(3, dtype="f4")[..., None, None])  # fmt: skip  # noqa: E501
    ranking = [LayerError(f"v{i}", "Conv", 1.0, 0.9) for i in range(20)]
    calls = []

    def passes(candidate):
        calls.append(candidate)
        floats = sum(node.op_type == "Conv" and "k" in node.input for node in candidate.graph.node)
        return floats >= needed

    found = auto_quantize(graph, table_of(graph), TENSORRT, lambda: ranking, passes)
    assert len(found.excluded) == needed
    assert len(calls) <= 7


def test_auto_says_when_the_float_model_fails_too():
    graph = model(CHAIN)
    with pytest.raises(CompileError, match="the proof fails with nothing quantised"):
        auto_quantize(graph, table_of(graph), TENSORRT, list, lambda _: False)


def test_auto_says_when_every_layer_has_to_stay_in_float():
    graph = model(CHAIN)
    table = table_of(graph)
    ranking = rank(graph, table, TENSORRT, [images()])
    with pytest.raises(CompileError, match="no layer can be quantised within the tolerance"):
        auto_quantize(graph, table, TENSORRT, lambda: ranking, lambda candidate: candidate is graph)


def test_a_table_of_another_model_is_refused():
    graph = model(CHAIN)
    other = calibrate(model("y = Conv (x, w1)"), [images()])
    with pytest.raises(CompileError, match="belongs to another model"):
        rank(graph, other, TENSORRT, [images()])
