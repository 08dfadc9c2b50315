"""A result from the cache is the one that the config asks for, whatever the run before was told."""

from pathlib import Path

import pytest
import torch

from compiler.config import compose
from compiler.events import StageFinished
from compiler.networks import build
from compiler.pipeline.composition import export_stage, rewriting_of, selection_for
from compiler.pipeline.job import read_job
from compiler.report import Report
from compiler.stages import Artifact, Load, LoadedNetwork
from tests.compiling import compile_here
from tests.small_network import small_network


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """What compiles a network of three layers."""
    with small_network(tmp_path_factory.mktemp("network"), "network_of_cached_results") as overrides:
        yield overrides


def cached(heard) -> dict[str, bool]:
    return {event.stage: event.cached for event in heard if isinstance(event, StageFinished)}


def reason(bundle, rewriter: str) -> str:
    (entry,) = [entry for entry in Report.load(bundle).ledger if entry.name == rewriter]
    return entry.reason


def test_a_rewriter_that_was_switched_off_is_skipped_for_that_reason(tmp_path, shared_cache, small):
    first, _ = compile_here(tmp_path, shared_cache, *small)
    assert reason(first.bundle, "fuse_nms") == "backend is onnxruntime, not tensorrt"
    second, heard = compile_here(tmp_path, shared_cache, *small, "rewriters.disable=[fuse_nms]")
    assert reason(second.bundle, "fuse_nms") == "disabled by the config"
    stages = cached(heard)
    assert [stage for stage, found in stages.items() if not found] == ["verify"], "the engine is the same"


def test_a_network_that_is_given_other_inputs_is_exported_again(tmp_path):
    """Voxels of 16 points are other inputs than voxels of 32, though no setting of the export says so."""
    checkpoint = tmp_path / "pointpillars.pth"
    torch.save(build(compose(["model=pointpillars"]).model.network).state_dict(), checkpoint)
    overrides = ("model=pointpillars", "shape=static_2000", f"checkpoint={checkpoint}", f"cache={tmp_path / 'cache'}")
    fewer = (*overrides, "model.processing.voxelization.max_num_points=16")
    (load, export), (other_load, other_export), (_, same_export) = map(keys, (overrides, fewer, overrides))
    assert other_load == load
    assert other_export != export == same_export, "all that follows counts by it"


def keys(overrides) -> tuple[object, object]:
    """Return what a network is loaded, and exported, by."""
    job = read_job(compose(list(overrides)))
    selection, load = selection_for(job), Load(job.source, job.weights)
    network = LoadedNetwork(
        Artifact("made before", Path("nowhere")), rewriting_of(job, selection), job.source, job.task
    )
    return load.key, export_stage(job, network, selection).key


@pytest.mark.parametrize("override", ["verify.tolerance=2e-4", "verify.reduced_cosine=0.98"])
def test_what_changes_nothing_of_the_engine_builds_no_other(tmp_path, shared_cache, small, override):
    compile_here(tmp_path, shared_cache, *small)
    _, heard = compile_here(tmp_path, shared_cache, *small, override)
    assert all(found for stage, found in cached(heard).items() if stage not in ("reference", "compare", "verify"))
