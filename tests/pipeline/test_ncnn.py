"""Whole compiles for ncnn: from a config to a proven bundle that predicts."""

import json

import numpy as np
import pytest

from compiler import runtime
from compiler.artifact import Engine
from compiler.errors import Caution, ExitCode
from tests.compiling import compile_here
from tests.conftest import PHOTOGRAPH
from tests.without_torch import PREDICT, without_torch


@pytest.fixture(scope="module")
def pose(tmp_path_factory, shared_cache):
    outcome, _ = compile_here(
        tmp_path_factory.mktemp("ncnn"), shared_cache, "backend=ncnn", "model=simcc-mobilenetv2", "shape=static"
    )
    return outcome


def test_key_points_are_proven_and_found(pose):
    assert pose.exit_code == ExitCode.PROVEN, pose.problem
    assert [proof.stage for proof in pose.proofs] == ["rewritten network", "program", "engine (ncnn)"]
    (found,) = runtime.open(pose.bundle)(PHOTOGRAPH)
    assert found.keypoints.shape == (17, 2)


def test_its_bundle_opens_and_predicts_without_torch(pose):
    run = without_torch(PREDICT, pose.bundle, PHOTOGRAPH)
    assert run.returncode == 0, run.stderr
    (found,), (expected,) = json.loads(run.stdout), runtime.open(pose.bundle)(PHOTOGRAPH)
    np.testing.assert_allclose(found["keypoints"], expected.keypoints, atol=1e-3)


def test_what_pnnx_said_lies_in_the_bundle(pose):
    assert "pass_ncnn" in (pose.bundle / "compile.log").read_text()


def test_on_another_machine_it_is_said_that_the_proof_was_made_elsewhere(pose, tmp_path):
    for file in pose.bundle.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    sidecar = tmp_path / Engine.SIDECAR
    values = json.loads(sidecar.read_text())
    values["machine"]["ncnn"] = "1.0.20241226"
    sidecar.write_text(json.dumps(values))
    with pytest.warns(Caution, match="proven on another machine"):
        runtime.open(tmp_path, trust_changes=True)


def test_objects_are_selected_from_all_candidates(tmp_path, shared_cache):
    outcome, _ = compile_here(tmp_path, shared_cache, "backend=ncnn", "model=rtmdet-tiny", "shape=static_64x64")
    assert outcome.exit_code == ExitCode.PROVEN, outcome.problem
    engine = Engine.load(outcome.bundle)
    assert [spec.name for spec in engine.outputs] == ["boxes", "scores", "factors", "levels"]
