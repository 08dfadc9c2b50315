"""Whole compiles for OpenVINO: a pose and a detector, in every precision that it lowers by itself."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from compiler import runtime
from compiler.artifact import Engine
from compiler.config import compose
from compiler.errors import Caution, CompileError, ExitCode, UsageError
from compiler.events import StageFinished
from compiler.report import Report
from tests.bundles import change_json, lock_again
from tests.cli.running import run_verb
from tests.compiling import compile_here
from tests.conftest import PHOTOGRAPH
from tests.without_torch import PREDICT, without_torch

POSE = ("model=simcc-mobilenetv2", "backend=openvino")
DETECTOR = ("model=rtmdet-tiny", "shape=static_320x320", "backend=openvino")
LOOSE = "verify.decoded_tolerance=1e9"
"""Of random weights, the highest of near-equals is another one after the least rounding."""


@pytest.fixture(scope="module")
def pose(tmp_path_factory, shared_cache):
    """The outcome of a compile in fp32, and what was heard of it."""
    return compile_here(tmp_path_factory.mktemp("openvino"), shared_cache, *POSE)


def test_a_pose_is_proven_at_every_batch_and_predicts(pose, shared_cache):
    outcome, _ = pose
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert outcome.name == "pose-detection_simcc-mobilenetv2_openvino_dynamic_256x192"
    assert outcome.proofs[-1].stage == "engine (openvino)"
    (found,) = runtime.open(outcome.bundle)(PHOTOGRAPH)
    assert found.keypoints.shape == (17, 2)
    (again,) = runtime.open(outcome.bundle, cache=shared_cache)(PHOTOGRAPH)
    np.testing.assert_array_equal(again.keypoints, found.keypoints)


def test_its_bundle_opens_and_predicts_without_torch(pose):
    run = without_torch(PREDICT, pose[0].bundle, PHOTOGRAPH)
    assert run.returncode == 0, run.stderr
    (found,), (expected,) = json.loads(run.stdout), runtime.open(pose[0].bundle)(PHOTOGRAPH)
    np.testing.assert_allclose(found["keypoints"], expected.keypoints, atol=1e-3)


def test_mmdeploys_files_name_the_graph_and_its_weights(pose):
    outcome, _ = pose
    (network,) = json.loads((outcome.bundle / "deploy.json").read_text())["models"]
    assert (network["backend"], network["net"], network["weights"]) == ("openvino", "end2end.xml", "end2end.bin")


def test_a_detector_selects_its_boxes_in_the_graph_and_is_proven(tmp_path, shared_cache):
    outcome, _ = compile_here(tmp_path, shared_cache, *DETECTOR)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert "NonMaxSuppression" in (outcome.bundle / "end2end.xml").read_text()
    assert runtime.open(outcome.bundle)(PHOTOGRAPH)


def test_in_int8_it_quantises_by_itself_and_is_held_to_its_proof(tmp_path, shared_cache):
    outcome, _ = compile_here(tmp_path, shared_cache, *POSE, "precision=int8", LOOSE)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert [proof.stage for proof in outcome.proofs][-2:] == ["program", "engine (openvino)"]
    assert Report.load(outcome.bundle).reduced is None
    assert 'type="FakeQuantize"' in (outcome.bundle / "end2end.xml").read_text()


def test_in_fp16_the_weights_are_half_and_the_proof_is_that_of_fp16(tmp_path, shared_cache, pose):
    outcome, _ = compile_here(tmp_path, shared_cache, *POSE, "precision=fp16", LOOSE)
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    assert Engine.load(outcome.bundle).size < 0.7 * Engine.load(pose[0].bundle).size


@pytest.mark.parametrize("override", ["calibration.auto=true", "calibration.method=entropy"])
def test_what_only_a_graph_can_be_told_is_refused_for_nncf_and_taken_for_ours(tmp_path, shared_cache, override):
    with pytest.raises(UsageError, match="openvino chooses by itself what it computes in int8") as caught:
        compile_here(tmp_path, shared_cache, *POSE, "precision=int8", override)
    assert caught.value.where == override.partition("=")[0]
    assert caught.value.fix.endswith("backend.quantizer=compiler")
    config = compose([*POSE, "precision=int8", override, "backend.quantizer=compiler"])
    assert config.backend["quantizer"] == "compiler"


def test_a_bundle_of_another_processor_is_opened_with_a_caution(pose, tmp_path):
    bundle = shutil.copytree(pose[0].bundle, tmp_path / "bundle")
    machine = {"processor": "x86_64 AVX2 FMA3 AVX512F AVX512VNNI", "openvino": "2025.3"}
    change_json(bundle / Engine.SIDECAR, machine=machine)
    lock_again(bundle)
    with pytest.warns(Caution, match=r"proven on another machine .*openvino 2025\.3 there"):
        runtime.open(bundle)


def test_what_stands_in_a_bundle_beside_its_engine_is_not_opened(pose, tmp_path):
    """A graph that was changed is refused, by its lock, before OpenVINO sees it."""
    bundle = shutil.copytree(pose[0].bundle, tmp_path / "bundle")
    for name in ("end2end.bin", "end2end.xml"):
        (bundle / name).write_bytes((bundle / name).read_bytes() + b" ")
        with pytest.raises(CompileError, match="the bundle is not as it was made") as caught:
            runtime.open(bundle)
        assert f"{name} was changed" in caught.value.why


def test_it_is_planned_and_mmdeploys_names_compose(tmp_path, shared_cache, capsys):
    places = (f"output={tmp_path}", f"cache={shared_cache}")
    assert run_verb("plan", *DETECTOR, *places) == ExitCode.PROVEN
    assert "nothing stands in the way of an engine for openvino" in capsys.readouterr().out
    config = compose(["deploy=pose-detection_openvino_static-256x192"])
    assert (config.backend["name"], config.resolved_shape.dynamic) == ("openvino", False)


def test_a_second_backend_shares_the_export_and_its_comparison_with_the_network(pose, tmp_path, shared_cache):
    """The graph rewriters are those of the backend."""
    first, _ = pose
    second, heard = compile_here(tmp_path, shared_cache, "model=simcc-mobilenetv2", "backend=onnxruntime")
    made = {event.stage for event in heard if isinstance(event, StageFinished) and not event.cached}
    assert made <= {"rewrite", "build", "verify"}
    assert second.exit_code == ExitCode.PROVEN, second.problem
    assert second.proofs[:-1] == first.proofs[:-1]
    assert [proof.reference for proof in second.proofs] == ["network"] * len(second.proofs)
