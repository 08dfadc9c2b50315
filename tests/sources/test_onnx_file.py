"""`model=onnx`: a file that somebody else exported is rewritten, compiled, proven against itself, and run."""

import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from compiler import runtime
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.pipeline import compile_bundle
from compiler.pipeline.job import read_job
from compiler.report import Report
from compiler.sources.onnx_file import NO_TORCH
from tests.onnx_files import Pyramid, Sentence, doubling, export, images, model, save, seeded, value, weights, words

BUNDLE = "outputs/tensors_x_onnxruntime_dynamic"
BOTH_EXPORTERS = pytest.mark.parametrize("exporter", ["torchscript", pytest.param("dynamo", marks=pytest.mark.slow)])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, trials_here):
    """The folder that the file is in, and that the command is given in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def compiled(*overrides, file="x.onnx"):
    """Compile a file, and return the outcome: what is not proven fails the test."""
    outcome = compile_bundle(compose(["model=onnx", f"model.file={file}", *overrides]))
    assert not outcome.problem
    return outcome


def refused(*overrides, file="x.onnx"):
    """Return why a file cannot be compiled, which is found before any stage begins."""
    with pytest.raises(CompileError) as caught:
        read_job(compose(["model=onnx", f"model.file={file}", *overrides]))
    return caught.value


def assert_close(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("exporter", "opset"),
    [
        ("torchscript", 11),
        pytest.param("torchscript", 17, marks=pytest.mark.slow),
        ("torchscript", 20),
        pytest.param("dynamo", 18, marks=pytest.mark.slow),
        ("dynamo", 20),
    ],
)
def test_the_engine_gives_what_the_file_and_the_torch_network_give(exporter, opset, folder):
    network = seeded(Pyramid)
    file = export(folder / "x.onnx", network, {"x": images()}, exporter, opset)
    outcome = compiled()
    five = images(5)
    found = runtime.open(outcome.bundle).run({"x": five.numpy()})
    with torch.no_grad():
        of_torch = [output.numpy() for output in network(five)]
    for expected in (of_torch, ReferenceEvaluator(str(file)).run(None, {"x": five.numpy()})):
        assert_close(found, dict(zip(("map", "vector"), expected, strict=True)))
    assert f"ONNX opset {opset} as it was" in Report.load(outcome.bundle).stages[1].detail
    assert {proof.reference for proof in outcome.proofs} == {"file"}
    assert {comparison.input for proof in outcome.proofs for comparison in proof.comparisons} == {"1", "4"}


@BOTH_EXPORTERS
def test_an_lstm_over_words_beside_a_picture(exporter, folder):
    network = seeded(Sentence)
    export(folder / "x.onnx", network, {"ids": words(), "x": images()}, exporter)
    predictor = runtime.open(compiled("model.inputs.ids=1x5:int64:0-9").bundle)
    with torch.no_grad():
        expected = {"sequence": network(words(3), images(3)).numpy()}
    assert_close(predictor.run({"ids": words(3).numpy(), "x": images(3).numpy()}), expected)


def test_what_a_user_sees(command_line, here):
    save(command_line.folder / "x.onnx", doubling())
    run = command_line("+backend=onnxruntime", "model=onnx", "model.file=x.onnx")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stderr == ""
    assert "0.0 M parameters, x.onnx" in run.stdout
    assert "of the file, input 1, 4" in run.stdout
    assert run.stdout.count("warning: ") == run.stdout.count("warning: no input is given") == 1
    np.savez(command_line.folder / "in.npz", x=np.array([[1, 2, 3], [-1, 0, 1]], np.float32))
    run = here("predict", BUNDLE, "in.npz", "arrays=out.npz")
    assert run.returncode == 0, run.stdout + run.stderr
    assert np.load(command_line.folder / "out.npz")["y"].tolist() == [[-1.5, -4, -7.5], [0, 0, -2.5]]

    run = here("model=onnx", "model.file=y.onnx")
    assert (run.returncode, "Traceback" in run.stderr) == (1, False)
    assert "the ONNX file y.onnx does not exist" in run.stderr


def test_only_graph_rewriters_act(folder):
    save(folder / "x.onnx", doubling())
    outcome = compiled("rewriters.require=[drop_neutral_arithmetic]")
    ledger = Report.load(outcome.bundle).ledger
    assert [entry.name for entry in ledger if entry.status == "fired"] == ["drop_neutral_arithmetic"]
    reasons = {entry.reason for entry in ledger if entry.kind == "module"}
    assert {reason for reason in reasons if not reason.startswith("backend is")} == {NO_TORCH}
    assert "after drop_neutral_arithmetic" in [proof.stage for proof in outcome.proofs]
    with pytest.raises(CompileError, match="fuse_batch_norm was asked for and did not fire") as caught:
        compiled("rewriters.require=[fuse_batch_norm]")
    assert NO_TORCH in caught.value.why


def test_constants_that_are_nodes_are_folded_like_weights(folder):
    two = helper.make_tensor("", TensorProto.FLOAT, [1], [2.0])
    nodes = [
        ("Constant", [], ["a"], {"value": two}),
        ("Constant", [], ["b"], {"value": two}),
        ("Add", ["a", "b"], ["four"]),
        ("Mul", ["x", "four"], ["y"]),
    ]
    save(folder / "x.onnx", model(nodes, [value("x")], [value("y")]))
    outcome = compiled("rewriters.require=[fold_constants]")
    assert [node.op_type for node in onnx.load(outcome.bundle / "end2end.onnx").graph.node] == ["Mul"]


def test_a_second_run_is_up_to_date_until_a_weight_changes(folder):
    content = doubling()
    save(folder / "x.onnx", content)
    compiled()
    assert compiled().up_to_date
    shutil.copyfile(folder / "x.onnx", folder / "moved.onnx")
    assert compiled("model.name=x", file="moved.onnx").up_to_date
    content.graph.initializer[0].CopyFrom(weights(two=[1.5, 2.0, 9.0])[0])
    save(folder / "x.onnx", content)
    outcome = compiled()
    assert not outcome.up_to_date
    assert runtime.open(outcome.bundle).run({"x": np.ones((1, 3), np.float32)})["y"].tolist() == [[-1.5, -2, -9]]


def test_weights_in_a_file_of_their_own_are_part_of_the_file(folder):
    save(folder / "x.onnx", doubling(), external="x.data")
    outcome = compiled()
    assert compiled().up_to_date
    assert not onnx.load(outcome.bundle / "end2end.onnx", load_external_data=False).graph.initializer[0].external_data
    data = bytearray((folder / "x.data").read_bytes())
    data[:4] = np.float32(-8).tobytes()
    (folder / "x.data").write_bytes(data)
    outcome = compiled()
    assert not outcome.up_to_date
    assert runtime.open(outcome.bundle).run({"x": np.ones((1, 3), np.float32)})["y"].tolist() == [[0, -2, -2.5]]


def test_metadata_goes_and_weights_that_are_listed_as_inputs_are_none(folder):
    content = doubling()
    content.ir_version = 3
    content.metadata_props.add(key="path", value="/home/somebody")
    content.graph.input.extend([value("two", (3,)), value("zero", (1,))])
    save(folder / "x.onnx", content)
    engine = onnx.load(compiled().bundle / "end2end.onnx")
    assert [port.name for port in engine.graph.input] == ["x"]
    assert not engine.metadata_props


@BOTH_EXPORTERS
def test_lengths_that_the_file_leaves_open_are_fixed_in_the_engine(exporter, folder):
    export(folder / "x.onnx", seeded(Pyramid), {"x": images()}, exporter, sides=(2, 3))
    error = refused()
    assert isinstance(error, UsageError)
    assert error.fix.endswith("model.inputs.x=1x3x224x224")
    predictor = runtime.open(compiled("model.inputs.x=1x3x12x16").bundle)
    assert predictor.engine.inputs[0].shape == ("batch", 3, 12, 16)
    assert [output.shape for output in predictor.engine.outputs] == [("batch", 4, 12, 16), ("batch", 2)]


def test_a_length_that_the_file_has_twice_is_given_twice(folder):
    sides = ("n", "side", "side")
    save(folder / "x.onnx", model([("Relu", ["x"], ["y"])], [value("x", sides)], [value("y", sides)]))
    with pytest.raises(UsageError, match="the dimension side has two lengths"):
        compiled("model.inputs.x=1x4x5")
    assert runtime.open(compiled("model.inputs.x=1x4x4").bundle).engine.outputs[0].shape == ("batch", 4, 4)


@pytest.mark.parametrize("first", ["", "items", -1])
def test_the_batch_may_have_any_name_or_none(first, folder):
    content = model([("Relu", ["x"], ["y"])], [value("x", (first or None, 3))], [value("y", ("batch", 3))])
    if first == -1:
        content.graph.input[0].type.tensor_type.shape.dim[0].dim_value = first  # as old exporters write it
    save(folder / "x.onnx", content)
    predictor = runtime.open(compiled().bundle)
    assert [spec.shape for spec in (*predictor.engine.inputs, *predictor.engine.outputs)] == [("batch", 3)] * 2


def test_a_static_engine_takes_its_own_batch_only(folder):
    export(folder / "x.onnx", seeded(Pyramid), {"x": images()}, "torchscript")
    predictor = runtime.open(compiled("shape=static", "batch.usual=2").bundle)
    assert predictor.engine.inputs[0].shape == (2, 3, 8, 8)
    assert [output.shape for output in predictor.engine.outputs] == [(2, 4, 8, 8), (2, 2)]
    assert len(predictor.run({"x": images(5).numpy()})["vector"]) == 5


@BOTH_EXPORTERS
def test_a_file_of_one_item_is_static(exporter, folder):
    export(folder / "x.onnx", seeded(Pyramid), {"x": images(1)}, exporter, varies=False)
    error = refused()
    assert isinstance(error, UsageError)
    assert "use shape=static" in error.fix
    assert "batch.usual=1" in refused("shape=static", "batch.usual=2", "batch.largest=2").fix
    assert len(runtime.open(compiled("shape=static").bundle).run({"x": images(3).numpy()})["vector"]) == 3


def test_a_file_of_four_items_takes_them_as_a_whole(folder):
    export(folder / "x.onnx", seeded(Pyramid), {"x": images(4)}, "torchscript", varies=False)
    assert "a batch of 4 only" in refused().what
    predictor = runtime.open(compiled("shape=static").bundle)
    assert predictor.run({"x": images(4).numpy()})["vector"].shape == (4, 2)


def test_outputs_that_count_something_else_than_items_are_given_whole(folder):
    content = model([("NonZero", ["x"], ["t"]), ("Transpose", ["t"], ["y"])], [value("x")],
                    [value("y", ("found", 2), TensorProto.INT64)])  # fmt: skip
    save(folder / "x.onnx", content)
    predictor = runtime.open(compiled().bundle)
    assert predictor.engine.outputs[0].shape == ("found", 2)
    assert predictor.run({"x": np.eye(3, dtype=np.float32)})["y"].tolist() == [[0, 0], [1, 1], [2, 2]]


def test_arrays_of_the_users_are_what_the_proof_looks_at(folder):
    save(folder / "x.onnx", doubling())
    np.savez(folder / "in.npz", x=np.ones((2, 3), np.float32))
    assert Report.load(compiled("arrays=in.npz").bundle).source == "in.npz"
    assert "has no input 'z'" in _arrays_refused(folder, z=np.ones((2, 3), np.float32))
    assert "has another shape" in _arrays_refused(folder, x=np.ones((2, 4), np.float32))
    assert "has another type" in _arrays_refused(folder, x=np.ones((2, 3), complex))


def _arrays_refused(folder, **arrays):
    np.savez(folder / "other.npz", **arrays)
    return refused("arrays=other.npz").what


@pytest.mark.parametrize(
    ("overrides", "what", "fix"),
    [
        (["model.file="], "the ONNX file is not given", "model.file="),
        (["checkpoint=a.pth"], "has its weights already", "leave checkpoint out"),
        (["export.opset=20"], "is taken over as it is", "leave export.exporter and export.opset out"),
        (["model.inputs.y=1x3"], "the file has no input 'y'", "x"),
        (["model.inputs.x=1x4"], "the input 'x' of the file is another one", "model.inputs.x=1x3"),
        (["model.inputs.x=1x3x3"], "the input 'x' of the file is another one", "model.inputs.x=1x3"),
        (["model.inputs.x=1x3:int64"], "the input 'x' of the file is another one", "model.inputs.x=1x3"),
        (["model.inputs.x=1x-3"], "the input cannot be read", ""),
        (["image=a.jpg"], "x does not look at image", "input=<arrays, .npy or .npz>"),
    ],
)
def test_a_wrong_command_is_a_usage_error(overrides, what, fix, folder):
    save(folder / "x.onnx", doubling())
    error = refused(*overrides)
    assert isinstance(error, UsageError)
    assert what in error.what
    assert fix in error.fix


def test_an_odd_name_is_shown_as_it_has_to_be_typed(folder):
    content = model([("Relu", ["input.1"], ["y"])], [value("input.1", ("n", "length"))], [value("y", ("n", "length"))])
    save(folder / "x.onnx", content)
    typed = refused().fix.partition("for example ")[2].strip("'")
    assert typed == "++model.inputs={input.1: 1x16}"
    assert runtime.open(compiled(typed).bundle).engine.inputs[0].shape == ("batch", 16)


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_bytes(path.read_bytes()[:100]), "is not a valid ONNX file"),
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_text("not a model"), "is not a valid ONNX file"),
        (lambda path: (path.unlink(), path.mkdir()), "is a folder"),
    ],
    ids=["missing", "truncated", "empty", "text", "folder"],
)
def test_a_damaged_file_is_refused(damage, what, folder):
    damage(save(folder / "x.onnx", doubling()))
    assert what in refused().what


def changed(**entries):
    """Return the doubling model, the first weight of which lies in another file as the entries say."""
    content = doubling()
    tensor = content.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, entry in entries.items():
        tensor.external_data.add(key=key, value=str(entry))
    return content


def test_weights_of_a_branch_are_looked_at_too(folder):
    branch = helper.make_graph(
        [], "branch", [], [value("zero", (1,))], [changed(location="../secret").graph.initializer[0]]
    )
    content = doubling()
    content.graph.node.append(helper.make_node("If", ["c"], ["unused"], then_branch=branch, else_branch=branch))
    save(folder / "x.onnx", content)
    assert "outside of its folder" in refused().what


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ({"location": "x.data"}, None),
        ({"location": "missing.data"}, "the weights of x.onnx are missing"),
        ({"location": "x.data", "offset": 4}, "the weights of x.onnx are truncated"),
        ({"location": "x.data", "offset": -4, "length": 12}, "the weights of x.onnx are truncated"),
        ({"location": "x.data", "length": "many"}, "is not a valid ONNX file"),
        ({"location": "x.data", "length": 3_000_000_000}, "larger than 2 GB"),
        ({"location": "../secret"}, "outside of its folder"),
        ({"location": "/etc/passwd"}, "outside of its folder"),
        ({"location": "link"}, "outside of its folder"),
        ({}, "outside of its folder"),
    ],
)
def test_weights_elsewhere_have_to_be_there_and_in_the_folder(entries, what, folder):
    own = folder / "own"
    own.mkdir()
    for path in (own / "x.data", folder / "secret"):
        path.write_bytes(np.ones(3, np.float32).tobytes())
    (own / "link").symlink_to(folder / "secret")
    save(own / "x.onnx", changed(**entries))
    if what is None:
        assert runtime.open(compiled(file="own/x.onnx").bundle).run({"x": np.ones((1, 3), np.float32)})["y"][0, 0] == -1
    else:
        assert what in refused(file="own/x.onnx").what


X, Y = [value("x")], [value("y")]
TEXT = [value(name, ("n",), TensorProto.STRING) for name in "xy"]
SPARSE_WEIGHTS = doubling()
SPARSE_WEIGHTS.graph.sparse_initializer.add().values.name = "sparse"
SHAPE = onnx.numpy_helper.from_array(np.array([1, 3]), "s")
SEQUENCE = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
SPARSE = helper.make_value_info("x", helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, ["n", 3]))
BFLOAT16 = value("x", kind=TensorProto.BFLOAT16)
ANY_RANK = helper.make_tensor_value_info("x", TensorProto.FLOAT, None)
OPTIONAL = helper.make_value_info("x", helper.make_optional_type_proto(X[0].type))


@pytest.mark.parametrize(
    ("content", "what", "why"),
    [
        (model([("Relu", ["x"], ["y"])], X, Y, opset=10), "too old", "its opset is 10, and 11 to"),
        (model([("Relu", ["x"], ["y"])], X, Y, opset=99), "too new", "its opset is 99"),
        (model([("Relu", ["x"], ["y"])], X, Y, ir_version=99), "too new", "its IR version is 99"),
        (model([("Relu", ["x"], ["y"])], X, []), "has no outputs", ""),
        (model([("Relu", ["w"], ["y"])], [], Y, weights(w=[[1, 2, 3]])), "has no inputs", ""),
        (model([("Foo", ["x"], ["y"], {"domain": "acme"})], X, Y, domains=["acme"]), "1 operators", "for the proof"),
        (model([("Identity", ["x"], ["y"])], X, [*Y, *X]), "two inputs or outputs are called x", "by their names"),
        (model([("SequenceConstruct", ["x"], ["y"])], X, [SEQUENCE]), "the output y is no tensor", "is sequence"),
        (model([("Relu", ["x"], ["y"])], [SPARSE], Y), "the input x is no tensor", "it is sparse tensor"),
        (model([("OptionalGetElement", ["x"], ["y"])], [OPTIONAL], Y), "the input x is no tensor", "it is optional"),
        (model([("Identity", ["x"], ["y"])], TEXT[:1], TEXT[1:]), "the output y is no tensor", "a tensor of string"),
        (model([("Cast", ["x"], ["y"], {"to": 1})], [BFLOAT16], Y), "the input x is no tensor", "a tensor of bfloat16"),
        (SPARSE_WEIGHTS, "has sparse weights", ""),
        (model([("Relu", ["x"], ["y"])], [value("x", ())], [value("y", ())]), "nothing varies", "have no axes"),
        (model([("Relu", ["x"], ["y"])], [ANY_RANK], [value("y", ("n", 3))]), "does not say how many axes", ""),
        (model([("Reshape", ["x", "s"], ["y"])], X, Y, [SHAPE]), "fails on its inputs", "given x [2, 3]"),
    ],
)  # fmt: skip
def test_what_is_in_a_file_may_not_do(content, what, why, folder):
    save(folder / "x.onnx", content)
    error = refused()
    assert what in error.what
    assert why in error.why


def test_a_file_that_is_read_and_still_not_valid_is_refused(folder):
    content = doubling()
    content.graph.node[0].name = content.graph.node[1].name = "twin"
    content.graph.node.add(op_type="Relu", input=["x"], output=["doubled"])
    save(folder / "x.onnx", content)
    with pytest.raises(CompileError):
        compiled()


def test_an_input_that_is_fixed_beside_one_that_varies_is_given_whole(folder):
    save(folder / "x.onnx", model([("MatMul", ["x", "m"], ["y"])], [*X, value("m", (3, 2))], [value("y", ("n", 2))]))
    predictor = runtime.open(compiled().bundle)
    found = predictor.run({"x": np.ones((5, 3), np.float32), "m": np.ones((3, 2), np.float32)})
    assert found["y"].tolist() == [[3, 3]] * 5


def twice(name, shape, output=None):
    """Return what doubles an input of a shape."""
    return model([("Add", [name, name], ["y"])], [value(name, shape)], [value("y", output or shape)])


def shapes_of(bundle):
    engine = runtime.open(bundle).engine
    return [spec.shape for spec in (*engine.inputs, *engine.outputs)]


def proven_at(outcome):
    return list(dict.fromkeys(one.input for proof in outcome.proofs for one in proof.comparisons))


def test_axes_that_vary_have_a_smallest_a_usual_and_a_largest_length(folder):
    save(folder / "x.onnx", twice("ids", ("batch", "seq"), ("batch", "seq")))
    outcome = compiled("model.inputs.ids=1x4-2x16")
    assert proven_at(outcome) == ["1x4", "1x10", "2x16"]
    assert shapes_of(outcome.bundle) == [("batch", "seq")] * 2
    predictor = runtime.open(outcome.bundle)
    assert predictor.run({"ids": np.ones((3, 5), np.float32)})["y"].tolist() == [[2] * 5] * 3
    with pytest.raises(CompileError, match="the axis seq cannot be that long"):
        predictor({"ids": np.ones((1, 17), np.float32)})
    assert proven_at(compiled("model.axes.seq=4-6-16", "batch.largest=2")) == ["1x4", "1x6", "2x16"]
    assert shapes_of(compiled("model.axes.seq=8").bundle)[0] == ("batch", 8)


def test_axes_without_a_name_are_not_one(folder):
    for unnamed in (None, "?", "-1", ""):
        content = model(
            [("Concat", ["a", "b"], ["y"], {"axis": 1})],
            [value("a", ("n", unnamed)), value("b", ("n", unnamed))],
            [value("y", ("n", unnamed))],
        )
        save(folder / "x.onnx", content)
        assert "leaves lengths of the input 'a' open" in refused("model.inputs.b=1x2").what
    outcome = compiled("model.inputs.a=nx2-nx3", "model.inputs.b=nx4-nx9")
    assert shapes_of(outcome.bundle)[:2] == [("batch", "a_1"), ("batch", "b_1")]
    given = {"a": np.zeros((2, 2), np.float32), "b": np.ones((2, 9), np.float32)}
    assert runtime.open(outcome.bundle).run(given)["y"].shape == (2, 11)


def test_axes_of_one_name_are_equally_long(folder):
    both = [value("ids", ("batch", "seq")), value("mask", ("batch", "seq"))]
    save(folder / "x.onnx", model([("Add", ["ids", "mask"], ["y"])], both, [value("y", ("batch", "seq"))]))
    outcome = compiled("model.inputs.ids=nx2-nx8")
    assert shapes_of(outcome.bundle) == [("batch", "seq")] * 3
    assert "two lengths" in refused("model.inputs.ids=nx2-nx8", "model.inputs.mask=nx2-nx9").what
    assert "no axis 'sequence'" in refused("model.axes.sequence=2-8").what
    assert "exactly one shape" in refused("model.axes.seq=2-8", "shape=static").what
    assert "the batch is said twice" in refused("model.inputs.ids=1x2-2x8", "batch.largest=8").what


def test_the_batch_may_be_any_axis_or_none(folder):
    save(folder / "x.onnx", twice("x", ("time", "batch", 2), ("time", "batch", 2)))
    outcome = compiled("model.axes.time=3-5")
    assert shapes_of(outcome.bundle)[0] == ("time", "batch", 2)
    assert runtime.open(outcome.bundle).run({"x": np.ones((4, 6, 2), np.float32)})["y"].shape == (4, 6, 2)
    save(folder / "x.onnx", twice("x", (1, 3, "height", "width"), (1, 3, "height", "width")))
    outcome = compiled("model.inputs.x=1x3x4x8-1x3x8x16")
    assert shapes_of(outcome.bundle)[0] == (1, 3, "height", "width")


def test_scalars_and_integers_go_in_and_out(folder):
    inputs = [value("x", ("n", 3), TensorProto.UINT16), value("k", (), TensorProto.INT64)]
    nodes = [
        ("Cast", ["x"], ["f"], {"to": TensorProto.INT64}),
        ("Mul", ["f", "k"], ["many"]),
        ("ReduceSum", ["many"], ["y"], {"keepdims": 0}),
    ]
    save(folder / "x.onnx", model(nodes, inputs, [value("y", (), TensorProto.INT64)]))
    predictor = runtime.open(compiled("model.inputs.k=scalar:int64:2-9").bundle)
    assert predictor.engine.inputs[1].shape == predictor.engine.outputs[0].shape == ()
    assert predictor.run({"x": np.ones((2, 3), np.uint16), "k": np.array(7)})["y"] == 42


def test_an_output_that_is_empty_is_not_proven_alone_and_proven_beside_another(folder):
    none = helper.make_tensor("none", TensorProto.INT64, [1], [0])
    cut = ("Slice", ["x", "none", "none"], ["empty"])
    outputs = [value("empty", (0, 3)), value("y")]
    save(folder / "x.onnx", model([cut, ("Relu", ["x"], ["y"])], X, outputs, [none]))
    compiled()
    save(folder / "x.onnx", model([cut], X, outputs[:1], [none]))
    assert "nothing was compared" in compile_bundle(compose(["model=onnx", "model.file=x.onnx"])).problem


def test_an_input_of_one_item_beside_one_that_varies_is_given_whole(folder):
    save(folder / "x.onnx", model([("Add", ["x", "m"], ["y"])], [*X, value("m", (1, 3))], Y))
    predictor = runtime.open(compiled().bundle)
    given = {"x": np.ones((5, 3), np.float32), "m": np.ones((1, 3), np.float32)}
    assert predictor.run(given)["y"].shape == (5, 3)
