"""A file that is replaced while a compile runs: the run ends with one message, and nothing is kept of it."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from compiler import runtime
from compiler.artifact import digest
from compiler.config import compose
from compiler.errors import CompileError
from compiler.graphs import onnx_files as onnx_files_module
from compiler.pipeline import compile_bundle
from compiler.pipeline.cache import DONE, Cache
from compiler.pipeline.composition import calibration_data, selection_for
from compiler.pipeline.job import Job, read_job
from compiler.pipeline.line import Line
from compiler.sources import torch_network
from compiler.stages import Artifact, Load, Rewriters
from tests.onnx_files import doubling, save, weights

CHANGED = "changed while it was being read"
NETS = """
from torch import nn

def build():
    return nn.Linear(3, 2)
"""
LINEAR = ("model=torch", "model.target=own_linear:build", "model.inputs.input=1x3", "shape=static")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current folder, with code of somebody's own and weights for it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "own_linear.py").write_text(NETS)
    save_weights(1.0)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def save_weights(value: float, path: str = "epoch_latest.pth") -> None:
    """Save weights as a trainer does: beside their place, and put there."""
    torch.save({"weight": torch.full((2, 3), value), "bias": torch.zeros(2)}, f"{path}.new")
    Path(f"{path}.new").replace(path)


def load(job: Job, cache: Path) -> Artifact:
    """Run the first stage of a job through the cache."""
    return Line(Cache(cache), lambda event: None).run(Load(job.source, job.weights))


def loaded_weight(artifact: Artifact) -> float:
    return torch.load(artifact.folder / torch_network.WEIGHTS_FILE)["module.weight"][0, 0].item()


@pytest.fixture
def replacing(monkeypatch):
    """Let a checkpoint be replaced before or after it is read."""

    def replace_at(moment: str) -> None:
        read = torch_network.read_checkpoint

        def slow(path):
            if moment == "before":
                save_weights(2.0)
            weights = read(path)
            if moment == "after":
                save_weights(2.0)
            return weights

        monkeypatch.setattr(torch_network, "read_checkpoint", slow)

    return replace_at


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_checkpoint_that_is_replaced_while_it_is_read_leaves_nothing(folder, replacing, monkeypatch, moment):
    config = compose([*LINEAR, "checkpoint=epoch_latest.pth"])
    job = read_job(config)
    with monkeypatch.context():
        replacing(moment)
        with pytest.raises(CompileError, match=f"epoch_latest.pth {CHANGED}") as caught:
            load(job, folder / "cache")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    assert caught.value.fix == "run again"
    assert not list((folder / "cache").glob(f"*/{DONE}"))
    again = read_job(config)
    assert again.weights != job.weights
    assert loaded_weight(load(again, folder / "cache")) == 2.0


def test_a_checkpoint_that_is_replaced_between_two_runs_is_never_taken_for_the_first(folder):
    """Replaced after its digest was taken, and put back: what is under the first digest is the first."""
    config = compose([*LINEAR, "checkpoint=epoch_latest.pth"])
    job = read_job(config)
    save_weights(2.0)
    with pytest.raises(CompileError, match=CHANGED):
        load(job, folder / "cache")
    save_weights(1.0)
    assert loaded_weight(load(read_job(config), folder / "cache")) == 1.0


def test_the_run_after_one_that_was_disturbed_makes_what_is_there_now(folder, replacing, monkeypatch):
    config = compose([*LINEAR, "checkpoint=epoch_latest.pth"])
    replacing("before")
    with pytest.raises(CompileError, match=CHANGED):
        compile_bundle(config)
    assert not list(folder.glob("outputs/*/engine.json"))
    outcome = compile_bundle(config)
    assert not outcome.up_to_date
    (output,) = runtime.open(outcome.bundle)({"input": np.ones((1, 3), np.float32)})
    assert np.allclose(output.array, 6.0)
    assert compile_bundle(config).up_to_date


@pytest.fixture
def onnx_files(folder):
    """An ONNX file that keeps its weights in another, and one that does not; in `other/`, with other weights."""
    (folder / "other").mkdir()
    for place, weight in ((folder / "other", 9.0), (folder, 2.5)):
        content = doubling()
        content.producer_name = place.name
        content.graph.initializer[0].CopyFrom(weights(two=[1.5, 2.0, weight])[0])
        save(place / "whole.onnx", content)
        save(place / "x.onnx", content, external="x.data")
    return folder


def onnx_job(file: str) -> Job:
    return read_job(compose(["model=onnx", f"model.file={file}"]))


@pytest.mark.parametrize("name", ["x.onnx", "x.data"])
def test_an_onnx_file_that_is_replaced_before_it_is_taken_over(onnx_files, name):
    job = onnx_job("x.onnx")
    shutil.copy(onnx_files / "other" / name, onnx_files / name)
    with pytest.raises(CompileError, match=f"{name} {CHANGED}"):
        load(job, onnx_files / "cache")
    assert not list((onnx_files / "cache").glob(f"*/{DONE}"))
    again = onnx_job("x.onnx")
    assert again.source != job.source
    load(again, onnx_files / "cache")


def test_an_onnx_file_counts_by_the_very_bytes_that_were_parsed(onnx_files, monkeypatch):
    read = onnx_files_module.read_given

    def replaced_after(path, *arguments, **options):
        content = read(path, *arguments, **options)
        shutil.copy(onnx_files / "other/whole.onnx", path)
        return content

    before = onnx_job("whole.onnx").source
    monkeypatch.setattr(onnx_files_module, "read_given", replaced_after)
    with pytest.raises(CompileError, match=f"whole.onnx {CHANGED}"):
        onnx_job("whole.onnx")
    monkeypatch.setattr(onnx_files_module, "read_given", read)
    assert onnx_job("whole.onnx").source != before


def test_a_picture_that_is_replaced_before_int8_is_calibrated_on_it(folder):
    (folder / "pictures").mkdir()
    for index in range(3):
        cv2.imwrite(str(folder / f"pictures/{index}.png"), np.full((40, 60, 3), 50 * index, np.uint8))
    config = compose(["model=rtmpose-t", "precision=int8", "calibration.data=pictures"])
    job = read_job(config)
    batches = calibration_data(job).batches()
    next(batches)
    cv2.imwrite(str(folder / "pictures/1.png"), np.full((40, 60, 3), 255, np.uint8))
    with pytest.raises(CompileError, match=f"1.png {CHANGED}"):
        list(batches)
    assert len(list(calibration_data(read_job(config)).batches())) == 3


REWRITER = """
from rewriters import Contract, graph_rewriter
import own_helper

@graph_rewriter(contract=Contract.exact)
def mine(call, graph):
    \"\"\"Does what its helper says.\"\"\"
    return own_helper.places(graph)
"""


def install(site: Path, returns: str) -> None:
    """Write a plug-in with a helper, as its author installs it to work on it."""
    information = site / "own_plug_in-1.0.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plug-in\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[deploy_compiler.rewriters]\nmine = own_rewriters\n")
    (information / "top_level.txt").write_text("own_rewriters\nown_helper\n")
    (site / "own_rewriters.py").write_text(REWRITER)
    (site / "own_helper.py").write_text(f"def places(graph):\n    return {returns}\n")
    importlib.invalidate_caches()


def keys(job: Job) -> tuple[str, str]:
    """Return what the bundle counts by, and what the plug-in's rewriter does."""
    chosen = Rewriters.of_graph(selection_for(job)).chosen
    (mine,) = [one.digest for one in chosen if one.name == "mine"]
    return digest(job.key), mine


@pytest.mark.parametrize(("place", "is_read"), [("site", True), ("site-packages", False)])
def test_a_helper_of_a_plug_in_counts_where_no_version_speaks_for_it(folder, monkeypatch, place, is_read):
    config = compose(["model=simcc-mobilenetv2"])

    def found(returns: str) -> tuple[str, str]:
        for name in ("own_rewriters", "own_helper"):
            sys.modules.pop(name, None)
        install(folder / place, returns)
        return keys(read_job(config))

    (folder / place).mkdir()
    monkeypatch.syspath_prepend(folder / place)
    first, same, other = found("[]"), found("[]"), found("None")
    assert first == same
    assert [one != its for one, its in zip(first, other, strict=True)] == [is_read, is_read]


def test_a_plug_in_that_changes_before_it_is_imported_ends_the_run(folder, monkeypatch):
    (folder / "site").mkdir()
    monkeypatch.syspath_prepend(folder / "site")
    install(folder / "site", "[]")
    job = read_job(compose(["model=simcc-mobilenetv2"]))
    for name in ("own_rewriters", "own_helper"):
        del sys.modules[name]
    install(folder / "site", "None")
    with pytest.raises(CompileError, match=f"an installed plug-in {CHANGED}"):
        selection_for(job)
