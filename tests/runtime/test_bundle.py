"""A bundle, opened: from Python, where torch is not installed, and from a wheel far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from compiler import runtime
from compiler.artifact import retired
from compiler.errors import CompileError
from compiler.tasks import Sample
from compiler.tasks.pose import Pose
from tests.compiling import compile_here
from tests.conftest import NAME, PHOTOGRAPH, REPOSITORY
from tests.environments import build_wheel, install_beside, make_environment

BOX = (100, 50, 400, 580)


@pytest.fixture(scope="module")
def predictor(bundle):
    return runtime.open(bundle)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel"))


def test_a_path_and_its_pixels_give_the_same_typed_results(predictor):
    (from_path,) = predictor(PHOTOGRAPH, BOX)
    (from_pixels,) = predictor(cv2.imread(str(PHOTOGRAPH)), BOX)
    assert isinstance(from_path, Pose)
    assert from_path.keypoints.shape == (17, 2)
    assert np.array_equal(from_path.keypoints, from_pixels.keypoints)
    assert from_path.box.tolist() == list(BOX)


def test_no_box_means_the_whole_image(predictor):
    (pose,) = predictor(PHOTOGRAPH)
    assert pose.box.tolist() == [0, 0, 512, 600]


def test_many_boxes_are_each_as_if_they_were_alone(predictor):
    boxes = [[20 * i, 10 * i, 200 + 20 * i, 300 + 10 * i] for i in range(10)]
    together = predictor(PHOTOGRAPH, boxes)
    assert len(boxes) > predictor.largest_batch
    for box, pose in zip(boxes, together, strict=True):
        (alone,) = predictor(PHOTOGRAPH, box)
        assert np.array_equal(pose.keypoints, alone.keypoints)
        np.testing.assert_allclose(pose.scores, alone.scores, rtol=1e-4)


def test_boxes_are_prepared_as_many_at_a_time_as_the_engine_is_given(predictor, monkeypatch):
    prepared = []
    original = type(predictor.task).preprocess
    spied = lambda task, sample, sizes: prepared.append(len(sample.boxes)) or original(task, sample, sizes)  # noqa: E731
    monkeypatch.setattr(type(predictor.task), "preprocess", spied)
    assert len(predictor(PHOTOGRAPH, [BOX] * (2 * predictor.batch + 1))) == 2 * predictor.batch + 1
    assert prepared == [predictor.batch, predictor.batch, 1]


def test_whoever_opens_a_bundle_has_limits_of_their_own(bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    config = (folder / "config.yaml").read_text()
    assert "megapixels: 100.0" in config
    (folder / "config.yaml").write_text(config.replace("megapixels: 100.0", "megapixels: 1000000.0"))
    predictor = runtime.open(folder, trust_changes=True)
    assert predictor.limits == runtime.Limits()
    assert runtime.read_config(folder).limits == runtime.Limits()
    with pytest.raises(CompileError, match="the image is too large"):
        predictor(np.broadcast_to(np.uint8(0), (12_000, 12_000, 3)))
    with pytest.raises(CompileError, match="the image is too large"):
        runtime.open(folder, trust_changes=True, limits=runtime.Limits(megapixels=0.1))(PHOTOGRAPH)


def test_a_bundle_whose_config_stands_for_billions_of_values_is_refused(bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    lines = "".join(f"a{line + 1}: &a{line + 1} [*a{line}, *a{line}]\n" for line in range(60))
    with (folder / "config.yaml").open("a") as file:
        file.write("a0: &a0 [0]\n" + lines)
    with pytest.raises(CompileError, match="is not the config of a bundle") as caught:
        runtime.open(folder, trust_changes=True)
    assert "more than 1,000,000 values" in caught.value.why


@pytest.mark.parametrize(("key", "value"), [("  largest: 4", "  largest: 1000000000"), ("  usual: 1", "  usual: 0")])
def test_a_bundle_whose_numbers_are_out_of_range_is_refused(bundle, tmp_path, key, value):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    config = (folder / "config.yaml").read_text()
    assert config.count(f"\n{key}\n") == 1
    (folder / "config.yaml").write_text(config.replace(f"\n{key}\n", f"\n{value}\n"))
    with pytest.raises(CompileError, match="is not the config of a bundle") as caught:
        runtime.open(folder, trust_changes=True)
    assert f"batch.{value.strip().partition(':')[0]}" in caught.value.why


def test_a_bundle_works_wherever_it_is_copied(predictor, bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "elsewhere")
    moved = runtime.open(tmp_path / "elsewhere")
    assert np.array_equal(moved(PHOTOGRAPH, BOX)[0].keypoints, predictor(PHOTOGRAPH, BOX)[0].keypoints)


def test_the_flip_test_averages_with_the_mirror_image(predictor, shared_cache, tmp_path):
    outcome, _ = compile_here(tmp_path, shared_cache, "model=rtmpose", "model.processing.flip_test=true")
    assert not outcome.problem
    flipping = runtime.open(outcome.bundle)
    assert flipping.task.flip_test
    crop = flipping.task.preprocess(Sample(cv2.imread(str(PHOTOGRAPH)), np.array([BOX], np.float32))).tensors
    plain, mirrored = predictor.run(crop), predictor.run({"input": crop["input"][..., ::-1].copy()})
    swap = list(flipping.task.keypoints.swap)
    expected = (plain["simcc_x"] + mirrored["simcc_x"][:, swap, ::-1]) / 2
    np.testing.assert_allclose(flipping.run(crop)["simcc_x"], expected, atol=1e-5)


def test_a_bundle_that_a_killed_process_had_moved_aside_is_found(bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, retired(folder))
    assert runtime.open(folder)(PHOTOGRAPH)


@pytest.mark.parametrize("kind", ["missing", "empty"])
def test_a_folder_that_is_no_bundle_is_refused(tmp_path, kind):
    folder = tmp_path / kind
    if kind == "empty":
        folder.mkdir()
    with pytest.raises(CompileError, match="is not a bundle"):
        runtime.open(folder)


def test_a_bundle_from_before_there_was_one_key_for_the_input_opens(bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    config = (folder / "config.yaml").read_text()
    assert "input: null\ninput_kind: null\n" in config
    old = config.replace("input: null\ninput_kind: null\n", "image: street.jpg\npoints: null\narrays: null\n")
    (folder / "config.yaml").write_text(old)
    assert runtime.open(folder, trust_changes=True)(PHOTOGRAPH)
    read = runtime.read_config(folder)
    assert (read.input, read.input_kind) == ("street.jpg", "image")


@pytest.mark.parametrize("content", ["model: {}\n", "[]\n", "batch: 3\n"])
def test_a_bundle_with_a_foreign_config_is_refused(bundle, tmp_path, content):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    (folder / "config.yaml").write_text(content)
    with pytest.raises(CompileError, match="is not the config of a bundle"):
        runtime.open(folder, trust_changes=True)


def test_a_bundle_of_an_unknown_backend_is_refused(bundle, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(bundle, folder)
    sidecar = json.loads((folder / "engine.json").read_text())
    sidecar["backend"]["_target_"] = "compiler.backends.nowhere.Nothing"
    (folder / "engine.json").write_text(json.dumps(sidecar))
    with pytest.raises(CompileError, match="engine.json does not describe a backend") as caught:
        runtime.open(folder, trust_changes=True)
    assert "compiler.backends.nowhere.Nothing cannot be imported" in caught.value.why


def test_predict_prints_json_and_draws(here, bundle, predictor):
    box = ",".join(map(str, BOX))
    run = here("predict", str(bundle), str(PHOTOGRAPH), f"box={box}", "picture=drawn.png")
    assert run.returncode == 0, run.stderr
    (printed,) = json.loads(run.stdout)
    (pose,) = predictor(PHOTOGRAPH, BOX)
    assert printed == pose.to_dict()
    drawn = cv2.imread(str(here.folder / "drawn.png"))
    assert np.array_equal(drawn, predictor.draw(PHOTOGRAPH, [pose]))
    assert not np.array_equal(drawn, cv2.imread(str(PHOTOGRAPH)))


def test_a_bundle_runs_from_the_wheel_where_torch_is_not_installed(bundle, wheel, predictor, tmp_path):
    python = make_environment(
        tmp_path / "environment", "--constraint", str(REPOSITORY / "constraints.txt"), f"{wheel}[onnxruntime]"
    )
    script = (
        "import importlib.util, json, sys; from compiler import runtime; "
        "assert not any(map(importlib.util.find_spec, ('torch', 'hydra', 'omegaconf', 'onnx'))); "
        "print(json.dumps([p.to_dict() for p in runtime.open(sys.argv[1])(sys.argv[2], json.loads(sys.argv[3]))]))"
    )
    command = [python, "-c", script, bundle, PHOTOGRAPH, json.dumps(BOX)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (found,) = json.loads(run.stdout)
    assert found == predictor(PHOTOGRAPH, BOX)[0].to_dict()


def test_the_wheel_compiles_away_from_the_checkout(wheel, tmp_path, shared_cache):
    installed = install_beside(tmp_path / "installed", wheel)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = "import compiler, pathlib; print(pathlib.Path(compiler.__file__).parents[1])"
    found = subprocess.run(
        [sys.executable, "-c", where], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert Path(found.stdout.strip()) == installed
    run = subprocess.run(
        [sys.executable, "-m", "compiler", "model=rtmpose-t", f"cache={shared_cache}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    bundle = tmp_path / "outputs" / NAME.replace("simcc", "rtmpose-t")
    assert (bundle / "report.html").is_file()
    assert runtime.open(bundle)(PHOTOGRAPH)
