"""A result from the cache is the one that the config asks for, whatever the run before was told."""

import pytest
import torch

from compiler.config import compose
from compiler.errors import ExitCode
from compiler.events import StageFinished
from compiler.networks import build
from compiler.report import Report
from tests.compiling import compile_here

SMALL = "model=simcc-mobilenetv2"


def cached(heard) -> dict[str, bool]:
    return {event.stage: event.cached for event in heard if isinstance(event, StageFinished)}


def reason(bundle, rewriter: str) -> str:
    (entry,) = [entry for entry in Report.load(bundle).ledger if entry.name == rewriter]
    return entry.reason


def test_a_rewriter_that_was_switched_off_is_skipped_for_that_reason(tmp_path, shared_cache):
    first, _ = compile_here(tmp_path, shared_cache, SMALL)
    assert reason(first.bundle, "fuse_nms") == "backend is onnxruntime, not tensorrt"
    second, heard = compile_here(tmp_path, shared_cache, SMALL, "rewriters.disable=[fuse_nms]")
    assert reason(second.bundle, "fuse_nms") == "disabled by the config"
    stages = cached(heard)
    assert [stage for stage, found in stages.items() if not found] == ["verify"], "the engine is the same"


def test_a_network_that_is_given_other_inputs_is_exported_again(tmp_path, shared_cache):
    """Voxels of 16 points are other inputs than voxels of 32, though no setting of the export says so."""
    checkpoint = tmp_path / "pointpillars.pth"
    torch.save(build(compose(["model=pointpillars"]).model.network).state_dict(), checkpoint)
    overrides = ("model=pointpillars", "shape=static_2000", f"checkpoint={checkpoint}")
    compile_here(tmp_path / "outputs", shared_cache, *overrides)
    fewer, heard = compile_here(
        tmp_path / "outputs", shared_cache, *overrides, "model.processing.voxelization.max_num_points=16"
    )
    assert fewer.exit_code == ExitCode.PROVEN, fewer.problem
    made = dict.fromkeys(("export", "rewrite", "build", "reference", "compare", "verify"), False)
    assert cached(heard) == {"load": True, **made}


@pytest.mark.parametrize("override", ["verify.tolerance=2e-4", "model.openmmlab=elsewhere"])
def test_what_changes_nothing_of_the_engine_builds_no_other(tmp_path, shared_cache, override):
    compile_here(tmp_path, shared_cache, SMALL)
    _, heard = compile_here(tmp_path, shared_cache, SMALL, override)
    assert all(found for stage, found in cached(heard).items() if stage not in ("compare", "verify"))
