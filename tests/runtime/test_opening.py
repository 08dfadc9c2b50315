"""A bundle opens and runs in a process in which torch cannot be imported, and one of an earlier layout opens too."""

import json
import shutil
import warnings

import numpy as np
from omegaconf import OmegaConf

from compiler import runtime
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.errors import Caution
from tests.bundles import small_bundle
from tests.cli.running import run_verb
from tests.conftest import PHOTOGRAPH
from tests.without_torch import PREDICT, without_torch


def test_a_bundle_of_the_first_layout_opens(bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    sidecar = json.loads((folder / "engine.json").read_text())
    assert sidecar.pop("version") == 2
    (sidecar["file"],) = sidecar.pop("files")
    retired = {"precisions": ["fp32"], "ir": "onnx", "exporter": "auto", "tail": "native", "quantization": "asymmetric"}
    sidecar["backend"] |= retired
    (folder / "engine.json").write_text(json.dumps(sidecar))
    config = OmegaConf.load(folder / "config.yaml")
    config.backend = {**config.backend, **retired}
    OmegaConf.save(config, folder / "config.yaml")
    opened = runtime.open(folder, trust_changes=True)
    (found,), (expected,) = opened(PHOTOGRAPH), runtime.open(bundle)(PHOTOGRAPH)
    np.testing.assert_array_equal(found.keypoints, expected.keypoints)


def test_torch_really_cannot_be_imported_there():
    run = without_torch("import torch")
    assert "ImportError: torch was imported" in run.stderr


def test_a_bundle_for_onnx_runtime_opens_and_runs_without_torch_hydra_omegaconf_and_onnx(bundle, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("processing: {_target_: mine.Task, names: '${mine}'}\n")
    run = without_torch(PREDICT, bundle, PHOTOGRAPH, tmp_path)
    assert run.returncode == 0, run.stderr
    (found,), (expected,) = json.loads(run.stdout), runtime.open(bundle)(PHOTOGRAPH)
    np.testing.assert_allclose(found["keypoints"], expected.to_dict()["keypoints"])


def opened_with_warnings(folder, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Caution)
        runtime.open(folder, trust_changes=True, **options)
    return [str(one.message) for one in caught if one.category is Caution]


def test_a_bundle_says_where_its_proof_holds_and_that_this_is_elsewhere(bundle, tmp_path):
    assert opened_with_warnings(bundle) == []
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    sidecar = json.loads((folder / "engine.json").read_text())
    assert sidecar["machine"].keys() == {"processor", "onnxruntime"}
    sidecar["machine"]["processor"] = "sparc64"
    (folder / "engine.json").write_text(json.dumps(sidecar))
    (message,) = opened_with_warnings(folder)
    assert "proven on another machine (processor sparc64 there and " in message
    sidecar["machine"] = {}
    (folder / "engine.json").write_text(json.dumps(sidecar))
    assert opened_with_warnings(folder) == [], "a bundle of before says nothing"


def test_a_cache_in_which_a_backend_keeps_nothing_is_said(tmp_path, monkeypatch):
    pose = small_bundle(tmp_path / "pose", "pose")
    assert opened_with_warnings(pose) == []
    (message,) = opened_with_warnings(pose, cache=tmp_path / "cache")
    assert message == f"cache= changes nothing for {pose}: ONNX Runtime keeps nothing of an engine that it opens"
    kept = []
    monkeypatch.setattr(OnnxRuntime, "open_cached", lambda self, engine, cache: kept.append(cache))
    assert opened_with_warnings(pose, cache=tmp_path / "cache") == []
    assert kept == [tmp_path / "cache/timing"]


def test_predict_tells_in_one_line_and_leaves_the_json_alone(bundle, tmp_path, capsys):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    sidecar = json.loads((folder / "engine.json").read_text())
    sidecar["machine"]["onnxruntime"] = "0.1"
    (folder / "engine.json").write_text(json.dumps(sidecar))
    assert run_verb("predict", "--trust-changes", str(folder), str(PHOTOGRAPH)) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 1
    (line,) = captured.err.splitlines()
    assert line.startswith("warning: the bundle was proven on another machine (onnxruntime 0.1 there")
