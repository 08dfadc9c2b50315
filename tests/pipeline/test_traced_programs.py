"""A whole compile for a user's own backend that reads what `torch.export` wrote, and lowers the precision by itself."""

import sys
from pathlib import Path

import pytest

from compiler import runtime
from compiler.config import compose
from compiler.errors import CompileError, ExitCode, UsageError
from compiler.pipeline import compile_bundle
from compiler.report import Report
from tests.conftest import PHOTOGRAPH

BACKEND = '''
import shutil
from dataclasses import dataclass
from typing import ClassVar

from compiler.artifact import Engine, Program, TorchExportProgram
from compiler.backends import Backend, Probe
from compiler.export import TracedSession


@dataclass(frozen=True, kw_only=True)
class Reader(Backend):
    """Runs the archive as it is; in int8 it notes what it would be calibrated on."""

    PROGRAM: ClassVar[type[Program]] = TorchExportProgram
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32", "int8")

    def probe(self):
        return Probe("1.0", ("CPU",))

    def plan(self, program):
        return ()

    def build(self, request):
        program = TorchExportProgram.of(request.program)
        shutil.copy(program.path, request.folder / "network.pt2")
        shapes = [] if request.calibration is None else [str(one["input"].shape) for one in request.calibration()]
        (request.folder / "calibrated.txt").write_text("\\n".join(shapes))
        engine = Engine(request.folder, ("network.pt2", "calibrated.txt"), self.node(), program.inputs, program.outputs)
        engine.save()
        return engine

    def open(self, engine):
        return TracedSession(TorchExportProgram(engine.path, engine.inputs, engine.outputs))
'''


@pytest.fixture
def config_of(tmp_path, monkeypatch, shared_cache):
    """Compose a small model for the backend, with overrides."""
    (tmp_path / "conf/backend").mkdir(parents=True)
    (tmp_path / "reader_of_traced.py").write_text(BACKEND)
    (tmp_path / "conf/backend/reader.yaml").write_text("_target_: reader_of_traced.Reader\nname: reader\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "reader_of_traced", raising=False)
    folders = (f"output={tmp_path / 'outputs'}", f"cache={shared_cache}")
    return lambda *overrides: compose(
        ["model=simcc-mobilenetv2", "backend=reader", *folders, *overrides], tmp_path / "conf"
    )


def test_a_traced_program_is_built_proven_and_predicts(config_of):
    outcome = compile_bundle(config_of())
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert [proof.stage for proof in outcome.proofs] == ["rewritten network", "program", "engine (reader)"]
    report = Report.load(outcome.bundle)
    assert [stage.stage for stage in report.stages] == ["load", "export", "build", "reference", "compare", "verify"]
    reasons = {entry.reason for entry in report.ledger if entry.kind == "graph"}
    assert reasons
    assert all("torch_export" in reason or "backend" in reason for reason in reasons)
    with pytest.raises(CompileError, match=r"'reader_of_traced\.Reader' is neither ours nor registered by you"):
        runtime.open(outcome.bundle)
    (pose,) = runtime.open(outcome.bundle, ["reader_of_traced"])(PHOTOGRAPH)
    assert pose.keypoints.shape == (17, 2)
    assert not (outcome.bundle / "calibrated.txt").read_text()


def test_in_int8_the_backend_is_handed_what_it_calibrates_on(config_of):
    outcome = compile_bundle(config_of("precision=int8"))
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert (outcome.bundle / "calibrated.txt").read_text().splitlines() == ["(1, 3, 256, 192)"] * 8


@pytest.mark.parametrize("override", ["keep_fp32=[MatMul]", "calibration.auto=true", "calibration.method=entropy"])
def test_what_only_a_graph_can_be_told_is_refused(config_of, override):
    with pytest.raises(UsageError, match="reader chooses by itself what it computes in int8") as caught:
        compile_bundle(config_of("precision=int8", override))
    assert caught.value.where == override.partition("=")[0]


def test_an_onnx_file_is_no_network_of_torch(config_of, tmp_path):
    file = Path(__file__).parents[1] / "data/first_layout/pose/end2end.onnx"
    with pytest.raises(UsageError, match="reader cannot be given an ONNX file"):
        compile_bundle(config_of("model=onnx", f"model.file={file}"))
