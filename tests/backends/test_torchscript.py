"""TorchScript: an archive that torch opens without the compiler, and that is opened where its maker is trusted."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from compiler import runtime
from compiler.artifact import Engine, OnnxProgram
from compiler.backends import BuildRequest, backend_of, build_backend, libraries, torchscript
from compiler.backends.torchscript import ARCHIVE
from compiler.config import compose
from compiler.errors import Caution, CompileError, UsageError
from compiler.export import ExportOptions, export_traced, run_network
from compiler.selection.operators import nms
from tests.backends.pyramid import AXES, EXAMPLE, OUTPUTS, Pyramid
from tests.compiling import compile_here
from tests.exporting import other_inputs

NODE = {"_target_": "compiler.backends.torchscript.TorchScript", "name": "torchscript"}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Pyramid().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def program(network, tmp_path_factory):
    options = ExportOptions("torchscript", 18, AXES, OUTPUTS)
    folder = tmp_path_factory.mktemp("program")
    return export_traced(network, EXAMPLE, other_inputs(EXAMPLE, options), options, folder)


@pytest.fixture
def engine(program, tmp_path):
    request = BuildRequest(program, tmp_path, "fp32", (), tmp_path / "cache", lambda share, phase: None)
    return build_backend(NODE).build(request)


def test_torch_alone_opens_the_archive(engine, network):
    image = torch.from_numpy(np.random.default_rng(1).normal(size=(3, 3, 20, 12)).astype(np.float32))
    found = torch.jit.load(engine.path)(image)
    for expected, one in zip(network(image), found, strict=True):
        torch.testing.assert_close(one, expected)


def test_an_engine_is_found_again_by_its_folder_and_equals_the_network(engine, network):
    again = Engine.load(engine.folder)
    assert (again.file, again.size) == (ARCHIVE, engine.path.stat().st_size)
    session = backend_of(again).open(again)
    for batch, height, width in ((1, 16, 24), (7, 20, 12)):
        image = {"input": np.random.default_rng(batch).normal(size=(batch, 3, height, width)).astype(np.float32)}
        expected, found = run_network(network, image, OUTPUTS), session.run(image)
        for name in OUTPUTS:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)


def test_threads_are_its_own_and_those_of_the_process_stay(engine):
    before = torch.get_num_threads()
    backend = build_backend({**NODE, "threads": before + 1})
    seen = []
    session = backend.open(engine)
    plain = session.session.run
    object.__setattr__(
        session,
        "session",
        type("Seeing", (), {"run": lambda self, tensors: seen.append(torch.get_num_threads()) or plain(tensors)})(),
    )
    session.run(EXAMPLE)
    assert (seen, torch.get_num_threads()) == ([before + 1], before)


def test_a_file_of_another_version_or_kind_is_one_message(engine):
    engine.path.write_bytes(b"no archive")
    with pytest.raises(CompileError, match=r"end2end\.pt is not the archive that it should be"):
        backend_of(engine).open(engine)


def test_an_onnx_program_is_refused(tmp_path):
    program = OnnxProgram(tmp_path / "program.onnx", (), (), 18, 1)
    with pytest.raises(CompileError, match="a Program in onnx is not what is read here"):
        build_backend(NODE).plan(program)


@pytest.mark.parametrize(("version", "said"), [("", "is not installed"), ("2.4.1", "2.9 is the oldest that will do")])
def test_without_a_torch_that_will_do_the_extra_is_named(engine, monkeypatch, version, said):
    monkeypatch.setattr(libraries, "installed_version", lambda name: version)
    assert said in build_backend(NODE).probe().problem
    with pytest.raises(CompileError, match="is opened by PyTorch, which cannot be used here") as caught:
        backend_of(engine).open(engine)
    assert said in caught.value.why
    assert "deploy-compiler[torch]" in caught.value.why


@pytest.mark.parametrize(("version", "devices"), [("", ()), ("2.13.0", ("CPU",))])
def test_a_device_is_listed_where_there_is_a_torch_alone(monkeypatch, version, devices):
    for module in (libraries, torchscript):
        monkeypatch.setattr(module, "installed_version", lambda name: version)
    assert build_backend(NODE).probe().devices == devices


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_precision_that_it_has_not_is_refused(precision):
    with pytest.raises(UsageError, match="torchscript"):
        compose(["backend=torchscript", "model=rtmdet-tiny", f"precision={precision}"])


class Selecting(torch.nn.Module):
    """What a detector ends in with `tail=native`."""

    def forward(self, image):
        return nms(image[:, 0, :, :4], image[:, 1].sigmoid(), 0.5, 2)[:2]


def test_a_detector_ends_before_its_selection():
    assert compose(["backend=torchscript", "model=rtmdet-tiny"]).tail == "host"


def test_a_selection_in_the_archive_is_refused(tmp_path):
    config = compose(["backend=torchscript", "model=rtmdet-tiny", "tail=native"])
    options = ExportOptions(config.exporter, config.export.opset, {"input": ()}, ("dets", "labels"))
    with pytest.raises(CompileError, match="a traced Program can hold torch's own operators alone") as caught:
        export_traced(Selecting(), EXAMPLE, [], options, tmp_path)
    assert "deploy_compiler::nms is known to the compiler" in caught.value.why
    assert "tail=host" in caught.value.fix


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, shared_cache):
    """The smallest RTMPose at one size, proven."""
    folder = tmp_path_factory.mktemp("torchscript")
    overrides = ("backend=torchscript", "model=rtmpose-t", "shape=static_256x192")
    outcome, _ = compile_here(folder, shared_cache, *overrides)
    assert outcome.headline == "proven", outcome.problem
    return outcome.bundle


def test_a_bundle_is_opened_where_its_maker_is_trusted_alone(bundle):
    with pytest.raises(CompileError, match="brings code of its own") as caught:
        runtime.open(bundle)
    assert "--engine-code" in caught.value.fix
    (pose,) = runtime.open(bundle, engine_code=True)("compiler/tasks/photographs/grace_hopper.jpg")
    assert pose.keypoints.shape == (17, 2)


def test_a_bundle_that_was_proven_on_another_machine_says_so(bundle, monkeypatch):
    elsewhere = {"processor": "riscv64", "torch": "2.13"}
    monkeypatch.setattr("compiler.backends.in_torch.this_machine", lambda library: elsewhere)
    with pytest.warns(Caution, match="proven on another machine"):
        runtime.open(bundle, engine_code=True)


def test_opening_needs_torch_and_neither_onnx_nor_hydra(bundle):
    code = f"""
import sys
for name in ("onnx", "onnxruntime", "hydra", "onnx_ir", "jinja2", "rich"):
    sys.modules[name] = None
from compiler import runtime
print(runtime.open({str(bundle)!r}, engine_code=True).engine.file)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=False)
    assert (run.stdout.strip(), run.stderr) == (ARCHIVE, "")
