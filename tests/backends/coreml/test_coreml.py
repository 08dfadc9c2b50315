"""Core ML: a package that is read back and interpreted where it cannot be run, and says that it was."""

import shutil
import sys
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from compiler.artifact import Engine, OnnxProgram, TensorSpec, TorchScriptProgram
from compiler.backends import BuildRequest, Profile, backend_of, build_backend, libraries
from compiler.backends.coreml import backend as module
from compiler.backends.coreml import convert_package, interpreter, plan
from compiler.backends.coreml.backend import PACKAGE
from compiler.backends.coreml.convert_package import enumerated
from compiler.backends.coreml.interpreter import quiet
from compiler.backends.coreml.narrow import narrowed
from compiler.backends.coreml.operations.spatial import resize
from compiler.backends.coreml.operations.table import OPERATIONS
from compiler.backends.coreml.package import require_own_files
from compiler.backends.coreml.plan import registered_name
from compiler.config import compose
from compiler.errors import CompileError, UsageError
from compiler.export import ExportOptions, export_traced, run_network
from tests.backends.pyramid import AXES, EXAMPLE, OUTPUTS, Pyramid
from tests.exporting import other_inputs

NODE = {"_target_": "compiler.backends.coreml.CoreML", "name": "coreml"}
PROFILE = Profile({"input": (1, 3, 8, 8)}, {"input": (2, 3, 16, 24)}, {"input": (4, 3, 64, 64)})


class Wide(Pyramid):
    """With weights that are worth storing in 8 bits."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.SiLU(), nn.Conv2d(64, 3, 5, 2, 2))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Wide().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def program(network, tmp_path_factory):
    options = ExportOptions("torchscript", 18, AXES, OUTPUTS)
    folder = tmp_path_factory.mktemp("program")
    return export_traced(network, EXAMPLE, other_inputs(EXAMPLE, options), options, folder)


def request(program, folder, precision="fp32") -> BuildRequest:
    return BuildRequest(program, folder, precision, (PROFILE,), folder / "cache", lambda share, phase: None)


@pytest.fixture(scope="module")
def engines(program, tmp_path_factory):
    """In fp32 and in int8, each converted once. Not to be changed."""
    pytest.importorskip("coremltools")
    fp32, int8 = (request(program, tmp_path_factory.mktemp(name), name) for name in ("fp32", "int8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "run_script", convert_here)
        quantised = build_backend(NODE).build(int8)
    return {"fp32": build_backend(NODE).build(fp32), "int8": quantised}


def convert_here(script, arguments, log, report):
    """Convert as the script does, in this process, which has imported what another would have to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["convert_package.py", *arguments])
        convert_package.main()


def images():
    for batch, height, width in ((1, 16, 24), (4, 20, 12)):
        yield {"input": np.random.default_rng(batch).normal(size=(batch, 3, height, width)).astype(np.float32)}


def test_an_engine_is_a_folder_and_its_operations_give_what_the_network_gives(engines, network):
    engine = Engine.load(engines["fp32"].folder)
    assert engine.file == PACKAGE
    assert engine.path.is_dir()
    assert engine.size > 20_000
    session = backend_of(engine).stand_in(engine)
    for image in images():
        expected, found = run_network(network, image, OUTPUTS), session.run(image)
        for name in OUTPUTS:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-5)


def test_what_is_interpreted_is_what_lies_in_the_package(engines, network, tmp_path):
    engine = engines["fp32"]
    copied = Engine(tmp_path, engine.files, engine.backend, engine.inputs, engine.outputs)
    shutil.copytree(engine.path, copied.path)
    (weights,) = copied.path.rglob("weight.bin")
    kernel = network.down[3].weight.numpy()
    content = weights.read_bytes()
    assert content.count(kernel.tobytes()) == 1
    weights.write_bytes(content.replace(kernel.tobytes(), (2 * kernel).tobytes()))
    (image, _) = images()
    expected = run_network(network, image, OUTPUTS)
    found = build_backend(NODE).stand_in(copied).run(image)
    assert max(np.abs(found[name] - expected[name]).max() for name in OUTPUTS) > 1e-3


def test_int8_stores_weights_in_8_bits_and_computes_in_16(engines, network):
    session = build_backend(NODE).stand_in(engines["int8"])
    kinds = [one.op_type for one in session._function.operations]
    assert "constexpr_affine_dequantize" in kinds
    assert engines["int8"].size < engines["fp32"].size / 2
    (image, _) = images()
    expected, found = run_network(network, image, OUTPUTS), session.run(image)
    for name in OUTPUTS:
        assert found[name].dtype == np.float32
        error = np.abs(found[name] - expected[name]).max()
        assert 1e-5 < error < 0.05 * expected[name].std() + 1e-3


def test_a_network_without_weights_for_8_bits_is_told(tmp_path):
    pytest.importorskip("coremltools")
    small = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    torch.jit.trace(small, torch.ones(1, 3, 8, 8)).save(str(tmp_path / "program.pt"))
    specs = (TensorSpec("input", "float32", (1, 3, 8, 8)),), (TensorSpec("image", "float32", (1, 4, 6, 6)),)
    given = TorchScriptProgram(tmp_path / "program.pt", *specs)
    with pytest.raises(CompileError, match="coremltools cannot convert the Program") as caught:
        build_backend(NODE).build(request(given, tmp_path, "int8"))
    assert caught.value.why == "no weight of the network is large enough: 2048 numbers at the least"
    assert caught.value.where == str(given.path)


def test_a_converter_that_is_killed_is_one_message(program, tmp_path, monkeypatch):
    script = tmp_path / "script.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    monkeypatch.setattr(module, "SCRIPT", script)
    with pytest.raises(CompileError, match="ended with SIGKILL"):
        build_backend(NODE).build(request(program, tmp_path))
    assert not (tmp_path / PACKAGE).exists()


def test_it_says_where_it_runs_and_is_not_run_elsewhere(engines, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert "Core ML is a part of macOS" in build_backend(NODE).probe().run_problem
    with pytest.raises(CompileError, match=r"end2end\.mlpackage cannot be run here") as caught:
        backend_of(engines["fp32"]).open(engines["fp32"])
    assert "Core ML is a part of macOS" in caught.value.why


class Model:
    """What Core ML is on macOS."""

    def __init__(self, path, compute_units):
        assert Path(path).name == PACKAGE
        self.units = compute_units

    def predict(self, given):
        if given["input"].shape[2] > 64:
            raise RuntimeError("shape not in enumerated set of allowed shapes")
        return {"image": given["input"], "means": given["input"].mean((2, 3)).astype(np.float16)}


@pytest.fixture
def macos(monkeypatch):
    pytest.importorskip("coremltools.proto.Model_pb2")
    units = {name: name for name in ("ALL", "CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE")}
    monkeypatch.setattr(sys, "platform", "darwin")
    fake = SimpleNamespace(ComputeUnit=units, models=SimpleNamespace(MLModel=Model))
    monkeypatch.setitem(sys.modules, "coremltools", fake)


@pytest.mark.usefixtures("macos")
def test_on_macos_core_ml_runs_it(engines):
    backend = build_backend({**NODE, "compute_units": "cpu_and_ne"})
    assert not backend.probe().run_problem
    session = backend.open(engines["fp32"])
    assert session._model.units == "CPU_AND_NE"
    (image, _) = images()
    found = session.run(image)
    assert found["means"].dtype == np.float32
    np.testing.assert_allclose(found["means"], image["input"].mean((2, 3)), atol=1e-3)
    with pytest.raises(CompileError, match="does not take this input") as caught:
        session.run({"input": np.zeros((1, 3, 128, 8), np.float32)})
    assert caught.value.where == "input [1, 3, 128, 8]"


@pytest.mark.usefixtures("macos")
def test_what_core_ml_cannot_open_is_one_message(engines, monkeypatch):
    def refuse(path, compute_units):
        raise RuntimeError("Error reading protobuf spec\nmore")

    monkeypatch.setattr(sys.modules["coremltools"].models, "MLModel", refuse)
    with pytest.raises(CompileError, match="cannot be opened by Core ML") as caught:
        build_backend(NODE).open(engines["fp32"])
    assert caught.value.why == "Error reading protobuf spec"


def test_what_is_no_package_is_one_message_and_nothing_is_shown(tmp_path, program, capfd):
    pytest.importorskip("coremltools")
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "Manifest.json").write_text("{}")
    engine = Engine(tmp_path, (PACKAGE,), NODE, program.inputs, program.outputs)
    with pytest.raises(CompileError, match=r"end2end\.mlpackage is no ML Program"):
        build_backend(NODE).stand_in(engine)
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def package(engines, tmp_path):
    """The package, to be changed."""
    return Path(shutil.copytree(engines["fp32"].path, tmp_path / PACKAGE))


MODEL, WEIGHTS = "com.apple.CoreML/model.mlmodel", "com.apple.CoreML/weights"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (f'"{MODEL}"', '"../../out/model.mlmodel"', "'../../out/model.mlmodel' is not a file in the folder"),
        (f'"{MODEL}"', '"/etc/passwd"', "'/etc/passwd' is not a file in the folder"),
        (f'"{WEIGHTS}"', '"../../out"', "'../../out' is not a file in the folder"),
        (f'"{WEIGHTS}"', '"com.apple.CoreML/others"', "which are no weights beside its model"),
        ('"path":', '"path": "com.apple.CoreML/model.mlmodel", "path":', "says something twice"),
        ('"rootModelIdentifier":', '"other":', "rootModelIdentifier"),
    ],
)
@pytest.mark.usefixtures("macos")
def test_a_manifest_that_leads_out_of_its_package_is_refused_before_anything_is_loaded(
    engines, package, monkeypatch, old, new, why
):
    shutil.copytree(package / "Data/com.apple.CoreML", package.parent / "out")
    file = package / "Manifest.json"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    monkeypatch.setattr(sys.modules["coremltools"].models, "MLModel", pytest.fail)
    for use in (build_backend(NODE).open, build_backend(NODE).stand_in):
        with pytest.raises(CompileError, match="is no ML Program") as caught:
            use(replace(engines["fp32"], folder=package.parent))
        assert why in caught.value.why


@pytest.mark.parametrize(
    "name", ["@model_path/weights/../../s.bin", "@model_path/another/weight.bin", "/tmp/weight.bin"]
)
def test_weights_that_lie_elsewhere_are_refused(package, name):
    require_own_files(package)
    from coremltools.proto import Model_pb2

    file = package / "Data" / MODEL
    model = Model_pb2.Model.FromString(file.read_bytes())
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    values = [one.attributes["val"] for one in block.operations if "val" in one.attributes]
    [one.blobFileValue for one in values if one.HasField("blobFileValue")][-1].fileName = name
    file.write_bytes(model.SerializeToString())
    with pytest.raises(CompileError, match="is no ML Program") as caught:
        require_own_files(package)
    assert name.rpartition("weights/")[2] in caught.value.why


@pytest.mark.parametrize("place", [f"Data/{MODEL}", f"Data/{WEIGHTS}/weight.bin", "Manifest.json"])
def test_a_link_out_of_the_package_is_refused(package, place):
    outside = package.parent / "outside"
    (package / place).rename(outside)
    (package / place).symlink_to(outside)
    with pytest.raises(CompileError, match="holds files of its own"):
        require_own_files(package)


def test_an_operation_that_is_not_known_is_named(engines, monkeypatch):
    unknown = SimpleNamespace(operations=[SimpleNamespace(op_type="non_maximum_suppression")], inputs={}, outputs=[])
    monkeypatch.setattr(interpreter, "read_function", lambda package: unknown)
    with pytest.raises(CompileError, match="non_maximum_suppression cannot be interpreted"):
        build_backend(NODE).stand_in(engines["fp32"])


def test_what_an_operation_is_asked_for_and_is_not_known_is_a_message_of_the_package(engines, monkeypatch):
    session = build_backend(NODE).stand_in(engines["fp32"])
    nearest = "upsample_nearest_neighbor"
    assert nearest in {one.op_type for one in session._function.operations}
    resized = partial(resize, shape=[8, 8], resized_dims=2, sampling_mode="OFFSET_CORNERS")
    monkeypatch.setitem(OPERATIONS, nearest, lambda x, **_: resized(x))
    (image, _) = images()
    with pytest.raises(CompileError, match=r"end2end\.mlpackage cannot be interpreted") as caught:
        session.run(image)
    assert "OFFSET_CORNERS" in caught.value.why


class Doubled:
    """A function of an ML Program that doubles whole numbers."""

    def __init__(self):
        self.inputs, self.outputs = {"x": variable("x")}, [variable("y")]
        two = SimpleNamespace(name="two", val=np.int32(2))
        inputs = {"x": self.inputs["x"], "y": two}
        self.operations = [SimpleNamespace(op_type="mul", inputs=inputs, outputs=self.outputs)]


def variable(name):
    from coremltools.converters.mil.mil.types import int32

    return SimpleNamespace(name=name, dtype=int32, val=None)


@pytest.mark.parametrize(
    ("given", "refused"), [(2**30 - 1, ""), (-(2**30), ""), (2**30, "y does not fit int32"), (2**31, "x does not fit")]
)
def test_whole_numbers_are_held_to_the_32_bits_that_a_device_has(tmp_path, monkeypatch, given, refused):
    pytest.importorskip("coremltools")
    monkeypatch.setattr(interpreter, "read_function", lambda package: Doubled())
    specs = (TensorSpec("x", "int64", (1,)),), (TensorSpec("y", "int64", (1,)),)
    session = build_backend(NODE).stand_in(Engine(tmp_path, (PACKAGE,), NODE, *specs))
    with pytest.raises(CompileError, match=refused) if refused else nullcontext():
        assert session.run({"x": np.array([given])})["y"] == 2 * given


def test_inputs_are_narrowed_to_types_that_core_ml_has_or_refused():
    given = {"ids": np.array([-(2**31), 2**31 - 1]), "x": np.array([1.5, np.inf]), "image": np.zeros(2, np.float32)}
    found = narrowed(given)
    assert [array.dtype.name for array in found.values()] == ["int32", "float32", "float32"]
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)
    for name, wrong in (("ids", np.array([2**31])), ("ids", np.array([-(2**31) - 1])), ("x", np.array([1e39]))):
        with pytest.raises(CompileError, match=f"{name} does not fit"):
            narrowed({name: wrong})


def test_what_another_version_translates_is_not_known_before_it_converts(tmp_path, monkeypatch):
    torch.jit.trace(Special(), torch.ones(2, 3)).save(str(tmp_path / "program.pt"))
    monkeypatch.setattr(plan, "installed_version", lambda name: "9.1")
    (obstacle,) = build_backend(NODE).plan(TorchScriptProgram(tmp_path / "program.pt", (), ()))
    assert obstacle.operator == "aten::nonzero"


@pytest.mark.parametrize(
    ("version", "said"),
    [("", "is not installed"), ("8.3", "9.0 is the oldest that will do"), ("10.0", "older than 10")],
)
def test_without_coremltools_that_will_do_the_extra_is_named(program, tmp_path, monkeypatch, version, said):
    monkeypatch.setattr(libraries, "installed_version", lambda name: version)
    problem = build_backend(NODE).probe().problem
    assert said in problem
    assert "deploy-compiler[coreml]" in problem
    with pytest.raises(CompileError, match="Core ML cannot build an engine here"):
        build_backend(NODE).build(request(program, tmp_path))


class Special(nn.Module):
    def forward(self, image):
        return torch.special.i0(image), image.nonzero().float()


def test_operators_that_are_not_translated_are_named_with_where_that_is_known_from(tmp_path, program):
    assert build_backend(NODE).plan(program) == ()
    torch.jit.trace(Special(), torch.ones(2, 3)).save(str(tmp_path / "program.pt"))
    obstacles = build_backend(NODE).plan(TorchScriptProgram(tmp_path / "program.pt", (), ()))
    assert [one.operator for one in obstacles] == ["aten::i0", "aten::nonzero"]
    assert obstacles[0].why == "coremltools has no translation of it"
    assert "coremltools 9.0" in obstacles[0].seen
    assert "depends on the values" in obstacles[1].why


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("aten::add_", "add"),
        ("aten::__and__", "and"),
        ("prim::ListConstruct", "listconstruct"),
        ("aten::_convolution", "_convolution"),
    ],
)
def test_an_operator_is_looked_up_as_coremltools_does(kind, name):
    assert registered_name(kind) == name


def test_the_facts_are_those_of_the_installed_registry():
    pytest.importorskip("coremltools")
    from compiler.backends.facts import read_facts

    with quiet():
        import coremltools.converters.mil.frontend.torch.ops  # noqa: F401
        from coremltools.converters.mil.frontend.torch import torch_op_registry
    facts = read_facts("coreml")
    assert facts.supported - {"chunk"} <= torch_op_registry._TORCH_OPS_REGISTRY.name_to_func_mapping.keys()


def test_every_shape_is_listed_where_there_are_few():
    kept = SimpleNamespace(EnumeratedShapes=lambda shapes, default: (shapes, default))
    assert enumerated(kept, [[1, 2, 3], 3]) == ([[1, 3], [2, 3], [3, 3]], [2, 3])
    with pytest.raises(ValueError, match=r"128 shapes at most.*backend\.shapes=range"):
        enumerated(kept, [1, [8, 16, 64], [8, 16, 64]])


@pytest.mark.parametrize(("key", "value"), [("target", "iOS13"), ("shapes", "any"), ("compute_units", "gpu")])
def test_an_option_that_does_not_exist_is_refused(key, value):
    with pytest.raises(UsageError, match="is not a choice of") as caught:
        build_backend({**NODE, key: value})
    assert caught.value.where == f"backend.{key}"


def test_another_program_and_another_precision_are_refused(tmp_path):
    with pytest.raises(CompileError, match="a Program in onnx is not what is read here"):
        build_backend(NODE).plan(OnnxProgram(tmp_path / "program.onnx", (), (), 18, 1))
    with pytest.raises(UsageError, match="coreml"):
        compose(["backend=coreml", "model=rtmdet-tiny", "precision=bf16"])
    assert compose(["backend=coreml", "model=rtmdet-tiny"]).tail == "host"
