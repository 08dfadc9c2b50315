"""One config, the whole way: what a run leaves behind, what a second run does, and when an engine is not proven."""

from __future__ import annotations

import json
import re
import shutil
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import onnx
import pytest
import torch

from compiler import build_network
from compiler.artifact import file_digest
from compiler.errors import ExitCode
from compiler.events import StageFinished, Warned
from compiler.graphs import OnnxRuntimeSession
from compiler.report import Report
from tests.compiling import compile_here
from tests.conftest import NAME, REPOSITORY, CommandLine
from tests.parity import weights
from tests.small_network import small_network

PARITY = REPOSITORY / "tests/parity"
ARTEFACTS = {
    "compile.log",
    "config.yaml",
    "deploy.json",
    "detail.json",
    "end2end.onnx",
    "engine.json",
    "lock.json",
    "output_onnxruntime.jpg",
    "output_pytorch.jpg",
    "pipeline.json",
    "recorded.npz",
    "report.html",
    "report.json",
}

FURTHER_SPELLINGS = (
    ["model=rtmpose"],
    ["deploy=pose-detection_simcc_onnxruntime_dynamic-256x192"],
    ["model=rtmpose-m", "shape=dynamic_256x192"],
)


def lock_of(bundle: Path) -> dict:
    return json.loads((bundle / "lock.json").read_text())


@pytest.fixture
def copied(outputs, tmp_path, shared_cache):
    """A command line in a folder that already holds a compiled RTMPose."""
    shutil.copytree(outputs, tmp_path / "outputs")
    return CommandLine(tmp_path), f"cache={shared_cache}"


def test_a_run_leaves_every_artefact_and_a_lock_of_their_digests(bundle):
    assert {path.name for path in bundle.iterdir()} == ARTEFACTS
    lock = lock_of(bundle)
    assert set(lock["files"]) == ARTEFACTS - {"lock.json"}
    assert all(file_digest(bundle / name) == digest for name, digest in lock["files"].items())
    assert lock["versions"]["torch"] == torch.__version__
    assert lock["reached"]["engine (onnxruntime)"]["relative_error"] < 1e-4


def test_a_second_run_does_nothing_and_says_so(copied):
    command_line, cache = copied
    before = {path: path.stat().st_mtime_ns for path in command_line.folder.glob("outputs/rtmpose/*/*")}
    run = command_line("+backend=onnxruntime", "+model=rtmpose", cache, "--debug", PYTHONPROFILEIMPORTTIME="1")
    assert run.returncode == 0
    assert "nothing to do: this bundle is up to date" in run.stdout
    assert {path: path.stat().st_mtime_ns for path in command_line.folder.glob("outputs/rtmpose/*/*")} == before
    assert not any(line.rsplit("|", 1)[-1].strip() == "torch" for line in run.stderr.splitlines())


@pytest.mark.parametrize(
    "spelling",
    [
        ["+backend=onnxruntime", "+model=rtmpose"],
        ["backend=onnxruntime", "model=rtmpose"],
        [f"+deploy={NAME}"],
        *(pytest.param(spelling, marks=pytest.mark.slow) for spelling in FURTHER_SPELLINGS),
    ],
)
def test_every_spelling_is_the_same_bundle(outputs, spelling, tmp_path, shared_cache):
    original = lock_of(outputs / "rtmpose" / NAME)
    run = CommandLine(tmp_path)(*spelling, f"cache={shared_cache}")
    assert run.returncode == 0, run.stderr
    lock = lock_of(tmp_path / "outputs/rtmpose" / NAME)
    assert lock["key"] == original["key"]
    for name in ARTEFACTS - {"lock.json", "compile.log", "report.json", "report.html"}:
        assert lock["files"][name] == original["files"][name], name


def test_two_exports_of_one_network_are_the_same_file(outputs, tmp_path):
    run = CommandLine(tmp_path)("model=rtmpose")
    assert run.returncode == 0, run.stderr
    assert "cached" not in run.stdout
    again, original = lock_of(tmp_path / "outputs/rtmpose" / NAME), lock_of(outputs / "rtmpose" / NAME)
    assert again["files"]["end2end.onnx"] == original["files"]["end2end.onnx"]


def test_a_damaged_bundle_is_made_again_from_the_cache(copied):
    command_line, cache = copied
    engine = command_line.folder / "outputs/rtmpose" / NAME / "end2end.onnx"
    whole = file_digest(engine)
    engine.write_bytes(engine.read_bytes()[:1000])
    run = command_line("model=rtmpose", cache)
    assert run.returncode == 0
    assert re.findall(r"✓ (\w+) +cached", run.stdout) == [
        "load",
        "export",
        "rewrite",
        "build",
        "reference",
        "compare",
        "verify",
    ]
    assert file_digest(engine) == whole


def test_the_engine_takes_batches_and_only_its_static_twin_does_not(bundle, tmp_path, shared_cache):
    crops = np.random.default_rng(0).normal(size=(3, 3, 256, 192)).astype(np.float32)
    dynamic = OnnxRuntimeSession(bundle / "end2end.onnx").run({"input": crops})
    assert dynamic["simcc_x"].shape == (3, 17, 384)
    assert dynamic["simcc_y"].shape == (3, 17, 512)

    with small_network(tmp_path, "static_twin") as overrides:
        outcome, _ = compile_here(tmp_path, shared_cache, *overrides)
    static = onnx.load(outcome.bundle / "end2end.onnx")
    assert [dim.dim_value for dim in static.graph.input[0].type.tensor_type.shape.dim] == [1, 3, 6, 6]


def test_the_other_exporter_is_proven_too(tmp_path, shared_cache):
    options = ("export.exporter=torchscript", "export.opset=17")
    outcome, heard = compile_here(tmp_path, shared_cache, "model=crnn-minivgg", *options)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert any("ONNX opset 17 by torchscript" in event.detail for event in heard if isinstance(event, StageFinished))
    model = onnx.load(outcome.bundle / "end2end.onnx")
    assert model.opset_import[0].version == 17


def test_the_program_carries_nothing_of_the_machine_it_was_made_on(bundle):
    model = onnx.load(bundle / "end2end.onnx")
    assert model.opset_import[0].version == 18
    assert model.ir_version <= 9
    assert [value.name for value in model.graph.input] == ["input"]
    assert [value.name for value in model.graph.output] == ["simcc_x", "simcc_y"]
    content = (bundle / "end2end.onnx").read_bytes()
    for trace in (b"stack_trace", b"site-packages", str(REPOSITORY).encode(), b'.py"'):
        assert trace not in content
    for artefact in ("deploy.json", "detail.json", "pipeline.json", "engine.json"):
        assert str(REPOSITORY) not in (bundle / artefact).read_text()


def test_network_and_engine_equal_the_original_implementation(tmp_path, shared_cache):
    """The checkpoint of the reference goes in; its outputs have to come out of the engine."""
    network = build_network("rtmpose")
    torch.save({"meta": {}, "state_dict": weights.fill(network.state_dict())}, tmp_path / "reference.pth")
    checkpoint = f"checkpoint={tmp_path / 'reference.pth'}"
    outcome, heard = compile_here(tmp_path, shared_cache, "model=rtmpose", checkpoint)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert not any(isinstance(event, Warned) for event in heard)
    expected = np.load(PARITY / "rtmpose_m.npz")
    session = OnnxRuntimeSession(outcome.bundle / "end2end.onnx")
    found = session.run({"input": weights.image("rtmpose_m", (1, 3, 256, 192))})
    for output, reference in (("simcc_x", expected["out.0"]), ("simcc_y", expected["out.1"])):
        assert np.abs(found[output] - reference).max() <= 1e-4 * reference.std()


def test_an_engine_beyond_its_tolerance_is_built_but_not_proven(copied):
    command_line, cache = copied
    run = command_line("model=rtmpose", "verify.tolerance=1e-9", cache)
    assert run.returncode == 3
    assert "built but not proven" in run.stdout
    assert "the first stage beyond its tolerance is 'rewritten network'" in run.stdout
    bundle = next(command_line.folder.glob(f"outputs/rtmpose/{NAME}+v???????"))
    report = json.loads((bundle / "report.json").read_text())
    assert not report["proven"]
    assert {path.name for path in bundle.iterdir()} == ARTEFACTS
    assert "Built, but not proven" in (bundle / "report.html").read_text()
    again = command_line("model=rtmpose", "verify.tolerance=1e-9", cache)
    assert again.returncode == 3, "an unproven bundle that is up to date is still unproven"


NETWORK = """
import torch
from torch import nn
from compiler.networks.layers.csp import SPPBottleneck

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.pooled = SPPBottleneck(4, 4)

    def forward(self, input):
        return self.pooled(input)

def build():
    torch.manual_seed(0)
    return Network()
"""


@pytest.fixture
def pooling(tmp_path, shared_cache, monkeypatch):
    """Compile a network of the user's that pools; return the bundle."""
    (tmp_path / "network_that_pools.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    named = ("model=torch", "model.target=network_that_pools:build", "model.inputs.input=1x4x16x16", "shape=static")

    def compiled(*overrides):
        outcome, _ = compile_here(tmp_path / "outputs", shared_cache, *named, *overrides)
        assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
        return outcome.bundle

    yield compiled
    sys.modules.pop("network_that_pools", None)


def nodes_of(bundle: Path, operator: str) -> list[onnx.NodeProto]:
    return [node for node in onnx.load(bundle / "end2end.onnx").graph.node if node.op_type == operator]


def test_a_rewriter_can_be_switched_off(pooling, command_line):
    bundle = pooling("rewriters.disable=[spp_to_cascaded_pooling]")
    kernels = [list(value.ints) for node in nodes_of(bundle, "MaxPool") for value in node.attribute]
    assert sorted(kernel for kernel in kernels if len(kernel) == 2 and kernel[0] > 1) == [[5, 5], [9, 9], [13, 13]]
    explained = command_line("explain", str(bundle))
    assert "disabled by the config" in explained.stdout


def test_tensorrt_gets_bilinear_upsampling_with_its_delta_in_the_ledger_unless_it_is_switched_off(
    tmp_path, shared_cache
):
    # What differs is the target: ONNX Runtime stands in for the engine.
    allowed = ("verify.decoded_tolerance=1", "verify.reduced_typical=1", "verify.reduced_cosine=0.9")
    words = ("model=dbnet", "shape=static_64x64", "backend.name=tensorrt", *allowed)
    outcome, _ = compile_here(tmp_path, shared_cache, *words)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    (entry,) = (one for one in Report.load(outcome.bundle).ledger if "bilinear" in one.name)
    assert (entry.status, entry.times) == ("fired", 6)
    assert entry.max_absolute_error > 1e-3
    assert modes(outcome.bundle) == {b"linear"}
    outcome, _ = compile_here(tmp_path, shared_cache, *words, "rewriters.disable=[nearest_to_bilinear]")
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert modes(outcome.bundle) == {b"nearest"}


def modes(bundle: Path) -> set[bytes]:
    """Return how a bundle's engine resizes."""
    return {value.s for node in nodes_of(bundle, "Resize") for value in node.attribute if value.name == "mode"}


def test_a_required_rewriter_that_cannot_act_is_an_error(command_line, shared_cache):
    run = command_line("model=rtmpose", "rewriters.require=[nearest_to_bilinear]", f"cache={shared_cache}")
    assert run.returncode == 2
    assert "nearest_to_bilinear is required" in run.stderr
    assert "backend is onnxruntime" in run.stderr


def test_explain_names_what_fired_and_what_was_skipped_and_why(command_line, bundle):
    run = command_line("explain", str(bundle))
    verdicts = re.findall(r"^(fired|skipped)", run.stdout, flags=re.MULTILINE)
    assert verdicts == sorted(verdicts), "what fired comes first"
    assert run.returncode == 0
    assert "fired 1x   spp_to_cascaded_pooling: module rewriter, exact, max abs error 0\n" in run.stdout
    assert "at backbone.stage4.1\n" in run.stdout
    assert (
        "skipped    nearest_to_bilinear: function rewriter, lossy: bilinear weights differ from nearest\n" in run.stdout
    )
    assert "because backend is onnxruntime, not tensorrt or tensorrt_rtx\n" in run.stdout


def test_the_log_tells_each_stage_and_a_failure_leaves_its_traceback(bundle, command_line):
    log = (bundle / "compile.log").read_text()
    assert all(f"{stage} " in log for stage in ("load", "export", "rewrite", "build", "reference", "compare", "verify"))
    command, *_, verdict = log.splitlines()
    assert "-m compiler" in command
    assert "proven: every stage is within its tolerance, on " in verdict
    command_line("model=rtmpose-t", "rewriters.disable=[nothing]")
    left = next(command_line.folder.glob("outputs/*.log")).read_text()
    assert "there is no rewriter 'nothing'" in left
    assert "Traceback" in left


def test_the_published_checkpoint_is_downloaded_once_and_its_digest_checked(command_line, shared_cache):
    served = command_line.folder / "served"
    served.mkdir()
    torch.save({"state_dict": build_network("crnn-minivgg").state_dict()}, served / "published.pth")
    digest = file_digest(served / "published.pth")
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/published.pth"
        official = ("model=crnn-minivgg", "checkpoint=official", f"model.official.url='{url}'", f"cache={shared_cache}")
        wrong = command_line(*official, "model.official.sha256=00000000")
        assert wrong.returncode == 1
        assert "the downloaded checkpoint is not the published one" in wrong.stderr
        run = command_line(*official, f"model.official.sha256={digest[:8]}")
        assert run.returncode == 0, run.stderr
        assert "the weights are random" not in run.stdout
        server.shutdown()
    again = command_line(*official, f"model.official.sha256={digest[:8]}")
    assert "up to date" in again.stdout
