"""Proving a bundle again: where it lies now, on the input that it keeps, on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from compiler import runtime
from compiler.artifact import LOCK_FILE, Engine, write_json
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.config.sizes import InputSize
from compiler.errors import CompileError, ExitCode
from compiler.pipeline.verification import verify_bundle
from compiler.proof import Tolerance
from compiler.proof.recording import LARGEST_INPUTS, LARGEST_OUTPUTS, RECORDED_FILE, Chosen, Recording
from compiler.runtime.opening import Opening
from tests.bundles import change_json, lock_again, record_own_outputs, small_bundle
from tests.cli.running import run_verb


@pytest.fixture
def copied(doubled, tmp_path):
    """A bundle that may be changed, away from where it was made."""
    return Path(shutil.copytree(doubled, tmp_path / "moved"))


def change_weights(bundle, factor):
    """Let the engine compute something else, and the lock say that it always did."""
    model = onnx.load(bundle / "end2end.onnx")
    for one in model.graph.initializer:
        if one.data_type == onnx.TensorProto.FLOAT:
            one.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(one) * np.float32(factor), one.name))
    onnx.save(model, bundle / "end2end.onnx")
    lock_again(bundle)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bundle_is_proven_again_where_it_lies_now_and_left_as_it_is(copied):
    before = files_of(copied)
    found = verify_bundle(copied)
    assert found.exit_code == ExitCode.PROVEN, found.problem
    assert (found.proof.stage, found.proof.reference) == ("engine (onnxruntime)", "file")
    assert found.proof.weakest.numbers == 3
    assert found.then.relative_error == found.proof.worst.relative_error
    assert (found.difference, found.libraries) == ("", {})
    assert files_of(copied) == before


def test_what_is_kept_is_what_the_bundle_was_made_on(copied):
    kept = Recording.load(copied)
    np.testing.assert_array_equal(kept.numbers["tensors/x"], np.float32([[1, -2, 3]]))
    np.testing.assert_array_equal(kept.outputs["y"], np.float32([[-1.5, 0, -7.5]]))


@pytest.mark.parametrize(("factor", "status"), [(1.00001, ExitCode.PROVEN), (1.001, ExitCode.NOT_PROVEN)])
def test_an_engine_that_computes_something_else_is_not_proven(copied, factor, status, capsys):
    change_weights(copied, factor)
    assert run_verb("verify", str(copied)) == status
    printed = capsys.readouterr().out
    assert ("not proven here: y of 1 has" in printed) == (status == ExitCode.NOT_PROVEN)


def test_it_says_which_machine_the_proof_was_made_on_and_what_differs(copied, capsys):
    machine = {"processor": "sparc64 VIS", "onnxruntime": "0.1"}
    change_json(copied / "engine.json", machine=machine)
    report = json.loads((copied / "report.json").read_text())
    versions = report["versions"] | {"numpy": "1.26.4", "onnxruntime": "0.1.7", "torch": "1.0"}
    change_json(copied / "report.json", versions=versions)
    lock_again(copied)
    assert run_verb("verify", str(copied)) == ExitCode.PROVEN
    printed = capsys.readouterr().out
    assert "made on    processor sparc64 VIS, onnxruntime 0.1\n" in printed
    assert "here       processor sparc64 VIS there and " in printed
    assert f"numpy      1.26.4 then, {np.__version__} here" in printed
    assert "onnxruntime 0.1.7 then, " in printed
    assert "torch" not in printed, "running the bundle has nothing to do with it"


def test_programs_read_it_as_json(copied, capsys):
    change_weights(copied, float("nan"))
    assert run_verb("verify", str(copied), "--json") == ExitCode.NOT_PROVEN
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (found["proven"], found["looser"], found["bundle"]) == (False, False, str(copied))
    assert found["tolerance"]["relative"] == 1e-4
    assert found["proof"]["comparisons"][0]["relative_error"] in ("inf", "nan")
    assert "y of 1 has" in found["problem"]


def test_opening_it_on_another_machine_names_the_command(copied):
    change_json(copied / "engine.json", machine={"processor": "sparc64"})
    lock_again(copied)
    with pytest.warns(match=f"python -m compiler verify {copied} proves it on this one"):
        runtime.open(copied)


def test_no_torch_no_onnx_and_nothing_of_compiling_is_needed(copied):
    hidden = ("torch", "onnx", "onnxscript", "onnx_ir", "onnx_graphsurgeon", "hydra", "omegaconf", "rich", "jinja2")
    script = (
        f"import sys\nsys.modules.update(dict.fromkeys({hidden}))\n"
        f"from compiler.__main__ import main\nsys.exit(main(['verify', {str(copied)!r}]))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == ExitCode.PROVEN, run.stdout + run.stderr
    assert run.stdout.endswith("proven here: the engine is within its tolerance\n")


def test_a_bundle_of_before_says_what_to_do(tmp_path):
    pose = small_bundle(tmp_path / "pose", "pose")
    with pytest.raises(CompileError, match="keeps no input that it could be proven on again") as caught:
        verify_bundle(pose)
    assert "compiled before inputs were kept" in caught.value.why
    assert "compile it again" in caught.value.fix


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere", tmp_path / "x.onnx"):
        with pytest.raises(CompileError, match="is not a bundle"):
            verify_bundle(place)


@pytest.mark.parametrize("name", ["config.yaml", "engine.json", "end2end.onnx", "report.json", RECORDED_FILE])
def test_a_file_that_was_changed_or_is_gone_is_named(copied, name):
    (copied / name).write_bytes((copied / name).read_bytes() + b" ")
    with pytest.raises(CompileError) as caught:
        verify_bundle(copied)
    assert caught.value.why == f"{name} was changed"
    (copied / name).unlink()
    with pytest.raises(CompileError) as caught:
        verify_bundle(copied)
    assert caught.value.why == f"{name} is missing"
    assert caught.value.exit_code == ExitCode.FAILED


def test_a_recording_that_does_not_belong_to_the_bundle_is_one_error(copied):
    kept = Recording.load(copied)
    for odd in (
        Recording(InputSize(4096, ()), "file", kept.numbers, kept.outputs),
        Recording(kept.size, "file", kept.numbers, {"z": kept.outputs["y"]}),
        Recording(kept.size, "file", {}, kept.outputs),
        Recording(kept.size, "file", {"tensors/x": np.zeros((1, 7), np.float32)}, kept.outputs),
        Recording(kept.size, "file", {"tensors/x": np.zeros((1, 3), np.float64)}, kept.outputs),
    ):
        odd.save(copied)
        with pytest.raises(CompileError, match="the recording does not fit the bundle"):
            verify_bundle(copied, Opening(trust_changes=True))


def test_outputs_of_another_shape_are_not_proven(copied):
    kept = Recording.load(copied)
    Recording(kept.size, "file", kept.numbers, {"y": np.zeros((1, 4), np.float32)}).save(copied)
    assert verify_bundle(copied, Opening(trust_changes=True)).exit_code == ExitCode.NOT_PROVEN


def test_a_recording_of_some_outputs_proves_nothing(tmp_path):
    bundle = small_bundle(tmp_path / "pose", "pose")
    record_own_outputs(bundle)
    kept = Recording.load(bundle)
    assert set(kept.outputs) == {"simcc_x", "simcc_y"}
    chosen = {name: Chosen.of(array) for name, array in kept.outputs.items()}
    Recording(kept.size, "network", kept.numbers, chosen=chosen).save(bundle)
    assert verify_bundle(bundle, Opening(trust_changes=True)).exit_code == ExitCode.PROVEN
    for half in ({"outputs": {"simcc_x": kept.outputs["simcc_x"]}}, {"chosen": {"simcc_x": chosen["simcc_x"]}}):
        Recording(kept.size, "network", kept.numbers, **half).save(bundle)
        with pytest.raises(CompileError, match="does not fit the bundle") as caught:
            verify_bundle(bundle, Opening(trust_changes=True))
        assert caught.value.why == "it is of simcc_x, and the engine gives simcc_x, simcc_y"


@pytest.mark.parametrize("what", ["opened", "tied"])
def test_candidates_that_were_compared_are_needed_again(tmp_path, what):
    bundle = small_bundle(tmp_path / "objects", "objects")
    record_own_outputs(bundle)
    proofs = json.loads((bundle / "report.json").read_text())["proofs"]
    size = str(Recording.load(bundle).size)
    proofs[-1]["bases"] = {size: {"numbers": 5, "results": 0, "things": "objects", what: False}}
    change_json(bundle / "report.json", proofs=proofs)
    assert verify_bundle(bundle, Opening(trust_changes=True)).exit_code == ExitCode.PROVEN
    proofs[-1]["bases"][size][what] = True
    change_json(bundle / "report.json", proofs=proofs)
    with pytest.raises(CompileError, match="does not fit the bundle") as caught:
        verify_bundle(bundle, Opening(trust_changes=True))
    assert "it lacks the candidates that the engine was compared by" in caught.value.why


def test_a_tolerance_is_told_and_one_that_is_looser_than_usual_is_marked(copied, capsys):
    assert run_verb("verify", str(copied)) == ExitCode.PROVEN
    printed = capsys.readouterr().out
    assert "allowed    0.0001 in the yardstick of an output, decoded what the task allows\n" in printed
    assert "looser" not in printed
    config = (copied / "config.yaml").read_text()
    assert "  tolerance: 0.0001\n" in config
    (copied / "config.yaml").write_text(config.replace("  tolerance: 0.0001\n", "  tolerance: 1000000000.0\n"))
    change_weights(copied, 1.001)
    run_verb("verify", str(copied))
    printed = capsys.readouterr().out
    assert "allowed    1e+09 in the yardstick of an output" in printed
    assert ": looser than usual, 0.0001 in the yardstick" in printed


@pytest.mark.parametrize(
    ("own", "is_looser"),
    [
        (Tolerance(0.1, 2.0, 0.99, 0.2), False),
        (Tolerance(0.05, 1.0, 0.999, 0.1), False),
        (Tolerance(0.1, None, 0.99, 0.2), False),
        (Tolerance(0.11, 2.0, 0.99, 0.2), True),
        (Tolerance(None, 2.0, 0.99, 0.2), True),
        (Tolerance(0.1, 2.1, 0.99, 0.2), True),
        (Tolerance(0.1, 2.0, 0.98, 0.2), True),
        (Tolerance(0.1, 2.0, None, 0.2), True),
        (Tolerance(0.1, 2.0, 0.99, 0.3), True),
    ],
)
def test_what_lets_more_pass_in_any_measure_is_looser(own, is_looser):
    assert own.is_looser_than(Tolerance(0.1, 2.0, 0.99, 0.2)) == is_looser


def test_a_link_out_of_the_bundle_is_refused(copied):
    (copied / RECORDED_FILE).unlink()
    (copied / RECORDED_FILE).symlink_to("/etc/passwd")
    with pytest.raises(CompileError, match="a bundle holds files of its own"):
        verify_bundle(copied, Opening(trust_changes=True))


def test_an_engine_that_brings_code_needs_a_word(copied, monkeypatch):
    monkeypatch.setattr(OnnxRuntime, "engine_holds_code", property(lambda self: True))
    with pytest.raises(CompileError, match="brings code of its own"):
        run_verb("verify", str(copied))
    assert run_verb("verify", str(copied), "--engine-code") == ExitCode.PROVEN


@pytest.mark.parametrize("name", ["arrays", "objects", "pose", "reader", "text"])
def test_every_task_is_proven_with_its_own_decoding(tmp_path, name):
    bundle = small_bundle(tmp_path / name, name)
    record_own_outputs(bundle)
    found = verify_bundle(bundle)
    assert found.exit_code == ExitCode.PROVEN, found.problem
    assert found.proof.decoded[found.proof.worst.input] == 0
    assert found.proof.weakest.numbers > 0
    change_weights(bundle, 1.5)
    assert verify_bundle(bundle).exit_code == ExitCode.NOT_PROVEN


def test_a_detector_that_finds_nothing_proves_nothing(tmp_path):
    bundle = small_bundle(tmp_path / "objects", "objects")
    record_own_outputs(bundle)
    kept = Recording.load(bundle)
    nothing = {name: np.full_like(one, -1 if one.dtype.kind == "i" else 0) for name, one in kept.outputs.items()}
    Recording(kept.size, "network", kept.numbers, nothing).save(bundle)
    found = verify_bundle(bundle, Opening(trust_changes=True))
    assert found.exit_code == ExitCode.NOT_PROVEN
    assert "nothing was compared" in found.problem


def test_a_compiled_pose_bundle_is_proven_again_and_grows_by_little(bundle):
    found = verify_bundle(bundle)
    assert found.exit_code == ExitCode.PROVEN, found.problem
    assert found.proof.reference == "network"
    assert found.unit == "px"
    size = (bundle / RECORDED_FILE).stat().st_size
    assert size < LARGEST_INPUTS + LARGEST_OUTPUTS
    assert size < 0.01 * Engine.load(bundle).size
    assert RECORDED_FILE in json.loads((bundle / LOCK_FILE).read_text())["files"]


def test_what_is_computed_in_the_place_of_an_engine_proves_no_engine(copied, monkeypatch):
    """As where Core ML's operations are interpreted away from macOS."""
    from compiler.backends import Probe
    from compiler.config.backend_facts import StandIn

    monkeypatch.setattr(OnnxRuntime, "STAND_IN", StandIn("interpreted", "its operations were interpreted"))
    monkeypatch.setattr(OnnxRuntime, "probe", lambda self: Probe("1", run_problem="this is no macOS"))
    monkeypatch.setattr(OnnxRuntime, "stand_in", lambda self, engine: self.open(engine))
    found = verify_bundle(copied)
    assert found.proof.stage == "engine (onnxruntime, interpreted)"
    assert found.exit_code == ExitCode.NOT_PROVEN
    assert found.problem.endswith("this is no macOS; instead its operations were interpreted")


def test_an_engine_that_cannot_run_here_says_why(copied):
    write_json(copied / "engine.json", json.loads((copied / "engine.json").read_text()) | {"files": ["gone.onnx"]})
    lock_again(copied)
    with pytest.raises(CompileError, match="the bundle is not as it was made"):
        verify_bundle(copied)
