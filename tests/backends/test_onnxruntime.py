"""ONNX Runtime: what it can take is known before it is built, and what it runs equals numpy."""

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from compiler.artifact import Engine, OnnxProgram, TensorSpec, TorchScriptProgram, read_json, write_json
from compiler.backends import PROGRAM_FILE, BuildRequest, backend_of, build_backend, run_in_batches
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.errors import CompileError, ExitCode, UsageError
from compiler.graphs import describe
from compiler.graphs.runtime import OPTIMIZATIONS, OnnxRuntimeSession
from compiler.stages.fingerprint import fingerprint

NODE = {"_target_": "compiler.backends.onnxruntime.OnnxRuntime", "name": "onnxruntime"}


@pytest.fixture
def backend() -> OnnxRuntime:
    return build_backend(NODE)


@pytest.fixture
def program(tmp_path):
    """Write a Program with one input and one output, both [batch, 3]."""

    def write(*nodes: onnx.NodeProto, batch: int | str = "batch", opset: int = 18, functions=()) -> OnnxProgram:
        domains = dict.fromkeys(node.domain for node in nodes if node.domain)
        graph = helper.make_graph(
            nodes,
            "program",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3])],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 3])],
        )
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=functions)
        onnx.save(model, tmp_path / "program.onnx")
        return describe(tmp_path / "program.onnx")

    return write


def apply(operator: str, *, domain: str = "", name: str = "it", **attributes) -> onnx.NodeProto:
    return helper.make_node(operator, ["input"], ["output"], name=name, domain=domain, **attributes)


def built(backend, program, tmp_path) -> Engine:
    folder = tmp_path / "engine"
    folder.mkdir()
    request = BuildRequest(program, folder, "fp32", (), tmp_path / "cache", lambda share, phase: None)
    return backend.build(request)


VALUES = np.array([[-4.0, -1.0, 0.5], [1.0, 2.0, 4.0]], dtype=np.float32)


def test_it_is_installed_here_and_runs_on_the_cpu(backend):
    probe = backend.probe()
    assert probe.version
    assert probe.devices == ("cpu",)
    assert not probe.problem


def test_what_is_made_here_is_made_again_on_another_processor(backend, monkeypatch):
    here = backend.probe()
    assert fingerprint(backend.probe()) == fingerprint(here)
    monkeypatch.setattr("compiler.backends.onnxruntime.this_machine", lambda library: {"processor": "riscv64"})
    assert fingerprint(backend.probe()) != fingerprint(here)


def test_an_engine_gives_what_numpy_gives(backend, program, tmp_path):
    engine = built(backend, program(apply("Exp")), tmp_path)
    found = backend.open(engine).run({"input": VALUES})
    assert list(found) == ["output"]
    np.testing.assert_allclose(found["output"], np.exp(VALUES), rtol=1e-6)


def test_an_engine_is_found_again_by_its_folder(backend, program, tmp_path):
    engine = built(backend, program(apply("Neg")), tmp_path)
    loaded = Engine.load(engine.folder)
    assert loaded.path == engine.path == tmp_path / "engine" / PROGRAM_FILE
    assert loaded.inputs == (TensorSpec("input", "float32", ("batch", 3)),)
    again = build_backend(loaded.backend)
    assert again == backend
    np.testing.assert_array_equal(again.open(loaded).run({"input": VALUES})["output"], -VALUES)


RETIRED = {"precisions": ["fp32"], "ir": "onnx", "exporter": "auto", "tail": "native", "quantization": "asymmetric"}


def test_an_engine_of_the_first_layout_opens(backend, program, tmp_path):
    engine = built(backend, program(apply("Neg")), tmp_path)
    first = {"file": PROGRAM_FILE, "backend": {**NODE, **RETIRED, "threads": 1}}
    sidecar = {**read_json(engine.folder / Engine.SIDECAR), **first}
    del sidecar["version"], sidecar["files"]
    write_json(engine.folder / Engine.SIDECAR, sidecar)
    loaded = Engine.load(engine.folder)
    again = backend_of(loaded)
    assert (again.threads, again.name) == (1, "onnxruntime")
    np.testing.assert_array_equal(again.open(loaded).run({"input": VALUES})["output"], -VALUES)


def test_other_keys_that_an_engine_should_not_have_are_refused(tmp_path):
    with pytest.raises(CompileError, match=r"engine\.json does not describe a backend") as caught:
        backend_of(Engine(tmp_path, (PROGRAM_FILE,), {**NODE, "precision": "fp32"}, (), ()))
    assert "there is no key 'backend.precision'" in caught.value.why
    assert caught.value.exit_code == ExitCode.FAILED, "whoever opens a bundle did not write it"


def test_a_program_of_another_kind_is_refused(backend, tmp_path):
    traced = TorchScriptProgram(tmp_path / "program.pt", (), ())
    with pytest.raises(CompileError, match="a Program in torchscript is not what is read here"):
        backend.plan(traced)
    with pytest.raises(CompileError, match="a Program in torchscript is not what is read here"):
        backend.build(BuildRequest(traced, tmp_path, "fp32", (), tmp_path, lambda share, phase: None))


@pytest.mark.parametrize("optimization", OPTIMIZATIONS)
@pytest.mark.parametrize("threads", [None, 1])
def test_optimisation_and_threads_do_not_change_what_comes_out(program, tmp_path, optimization, threads):
    backend = build_backend({**NODE, "optimization": optimization, "threads": threads})
    engine = built(backend, program(apply("HardSigmoid", alpha=0.5, beta=0.25)), tmp_path)
    found = backend.open(engine).run({"input": VALUES})["output"]
    np.testing.assert_allclose(found, np.clip(0.5 * VALUES + 0.25, 0, 1), rtol=1e-6)


def test_outputs_keep_their_names_when_there_are_several(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Split", ["input"], ["right", "left"], axis=1, num_outputs=2)],
        "program",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in ("left", "right")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), tmp_path / "p.onnx")
    values = np.arange(8, dtype=np.float32).reshape(2, 4)
    found = OnnxRuntimeSession(tmp_path / "p.onnx").run({"input": values})
    np.testing.assert_array_equal(found["right"], values[:, :2])
    np.testing.assert_array_equal(found["left"], values[:, 2:])


@pytest.mark.parametrize(
    "operator",
    ["Relu", "HardSwish", "Mish"],  # HardSwish and Mish are defined in terms of other operators
)
def test_operators_with_a_kernel_or_a_definition_are_planned(backend, program, operator):
    assert backend.plan(program(apply(operator))) == ()


def test_a_constant_has_no_kernel_and_is_planned_all_the_same(backend, program, tmp_path):
    constant = helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32(2)))
    doubled = program(constant, helper.make_node("Mul", ["input", "two"], ["output"]))
    assert backend.plan(doubled) == ()
    found = backend.open(built(backend, doubled, tmp_path)).run({"input": VALUES})
    np.testing.assert_array_equal(found["output"], 2 * VALUES)


def test_an_operator_that_the_program_defines_itself_is_planned(backend, program, tmp_path):
    double = helper.make_function(
        "own",
        "Double",
        ["x"],
        ["y"],
        [helper.make_node("Add", ["x", "x"], ["y"])],
        [helper.make_opsetid("", 18)],
    )
    program = program(apply("Double", domain="own"), functions=[double])
    assert backend.plan(program) == ()
    found = backend.open(built(backend, program, tmp_path)).run({"input": VALUES})["output"]
    np.testing.assert_array_equal(found, 2 * VALUES)


def test_an_operator_that_it_cannot_take_is_named_with_its_place(backend, program):
    (obstacle,) = backend.plan(program(apply("EfficientNMS_TRT", domain="TRT", name="/head/nms")))
    assert (obstacle.operator, obstacle.node) == ("TRT::EfficientNMS_TRT", "/head/nms")
    assert "no kernel on the CPU" in obstacle.why
    assert obstacle.seen == f"the kernels of ONNX Runtime {backend.probe().version}"


def test_an_operator_that_is_misspelt_is_one_obstacle_however_often_it_occurs(backend, program):
    first = helper.make_node("Reluu", ["input"], ["between"], name="/stem/act")
    second = helper.make_node("Reluu", ["between"], ["output"], name="/neck/act")
    (obstacle,) = backend.plan(program(first, second))
    assert (obstacle.operator, obstacle.node) == ("Reluu", "/stem/act, /neck/act")


def test_what_it_builds_it_cannot_leave_to_build(backend, program, tmp_path):
    request = BuildRequest(program(apply("Exp")), tmp_path, "fp32", (), tmp_path / "cache", lambda share, phase: None)
    with pytest.raises(CompileError, match="onnxruntime builds an engine where it is compiled"):
        backend.deferred_build(request)


def test_what_the_plan_names_is_refused_when_it_is_built(backend, program, tmp_path):
    unknown = program(apply("EfficientNMS_TRT", domain="TRT"))
    with pytest.raises(CompileError, match=r"ONNX Runtime refuses end2end\.onnx") as caught:
        built(backend, unknown, tmp_path)
    assert "EfficientNMS_TRT" in caught.value.why


@pytest.mark.parametrize("damage", [lambda content: content[: len(content) // 2], lambda content: b"no ONNX"])
def test_a_damaged_file_is_refused(backend, program, tmp_path, damage):
    engine = built(backend, program(apply("Exp")), tmp_path)
    engine.path.write_bytes(damage(engine.path.read_bytes()))
    with pytest.raises(CompileError, match="ONNX Runtime refuses|is not a valid ONNX file") as caught:
        backend.open(engine)
    assert caught.value.where == str(engine.path)
    assert caught.value.why
    assert "\n" not in caught.value.why


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CompileError, match="the engine does not exist") as caught:
        OnnxRuntimeSession(tmp_path / "nowhere.onnx")
    assert caught.value.where == str(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        ({"optimization": "al"}, "backend.optimization", "did you mean all?"),
        ({"optimization": "fastest"}, "backend.optimization", "choose one of: all, basic, disabled, extended"),
        ({"threads": "four"}, "backend.threads", "must be a whole number"),
        ({"thread": 4}, "backend.thread", "did you mean threads?"),
        ({"precisions": ["fp32"]}, "backend.precisions", "where the class is yours, give it PRECISIONS"),
        ({"_target_": "compiler.backends.onnxruntime.OnnxRuntimes"}, "backend._target_", "did you mean OnnxRuntime?"),
        ({"_target_": "compiler.backends.Backend"}, "backend._target_", "is not a Backend"),
    ],
)
def test_a_wrong_option_is_named(change, where, said):
    with pytest.raises(UsageError) as caught:
        build_backend({**NODE, **change})
    assert caught.value.where == where
    assert said in str(caught.value)


class Doubler:
    """Runs an engine that doubles its input, and notes the size of every batch."""

    def __init__(self, batch: int | str):
        self.engine = Engine(None, (), {}, (TensorSpec("input", "float32", (batch, 2)),), ())
        self.batches = []

    def __call__(self, tensors):
        self.batches.append(len(tensors["input"]))
        return {"output": tensors["input"] * 2, "sum": tensors["input"].sum(axis=1) + tensors["bias"]}


def samples(count: int):
    return {"input": np.arange(2.0 * count).reshape(count, 2), "bias": np.arange(float(count))}


@pytest.mark.parametrize(
    ("batch", "count", "largest", "batches"),
    [
        ("batch", 3, 4, [3]),
        ("batch", 4, 4, [4]),
        ("batch", 9, 4, [4, 4, 1]),
        (4, 3, 99, [4]),  # filled up
        (4, 4, 1, [4]),
        (4, 9, 99, [4, 4, 4]),
        (1, 3, 99, [1, 1, 1]),
    ],
)
def test_samples_are_run_in_batches_that_the_engine_takes(batch, count, largest, batches):
    run, tensors = Doubler(batch), samples(count)
    found = run_in_batches(run, run.engine, tensors, largest)
    assert run.batches == batches
    np.testing.assert_array_equal(found["output"], tensors["input"] * 2)
    np.testing.assert_array_equal(found["sum"], tensors["input"].sum(axis=1) + tensors["bias"])


@given(st.integers(1, 8) | st.just("batch"), st.integers(1, 20), st.integers(1, 8))
def test_however_they_are_batched_the_outputs_are_the_same(batch, count, largest):
    run, tensors = Doubler(batch), samples(count)
    found = run_in_batches(run, run.engine, tensors, largest)
    np.testing.assert_array_equal(found["output"], tensors["input"] * 2)
    assert max(run.batches) <= (largest if batch == "batch" else batch)


def test_a_fixed_batch_is_filled_with_the_last_sample():
    seen = []
    engine = Doubler(3).engine
    run_in_batches(lambda tensors: seen.append(tensors["input"]) or tensors, engine, {"input": np.eye(2)}, 1)
    np.testing.assert_array_equal(seen[0], [[1, 0], [0, 1], [0, 1]])


def test_a_fixed_engine_really_takes_any_number_of_samples(backend, program, tmp_path):
    engine = built(backend, program(apply("Exp"), batch=4), tmp_path)
    values = np.linspace(-1, 1, 21, dtype=np.float32).reshape(7, 3)
    found = run_in_batches(backend.open(engine).run, engine, {"input": values}, 1)
    np.testing.assert_allclose(found["output"], np.exp(values), rtol=1e-6)


def test_inputs_that_count_different_numbers_of_samples_are_refused():
    run = Doubler("batch")
    with pytest.raises(CompileError, match="count different numbers of samples") as caught:
        run_in_batches(run, run.engine, {"input": np.eye(2), "other": np.eye(3)}, 4)
    assert caught.value.why == "input has 2, other has 3"


def test_an_empty_batch_is_refused():
    run = Doubler("batch")
    with pytest.raises(CompileError, match="nothing to run") as caught:
        run_in_batches(run, run.engine, samples(0), 4)
    assert caught.value.where == "input"
    assert run.batches == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", "x\n"])
def test_a_backend_is_not_called_what_leads_out_of_a_folder(name):
    with pytest.raises(UsageError) as caught:
        build_backend({**NODE, "name": name})
    assert caught.value.where == "backend.name"
