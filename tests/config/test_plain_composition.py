"""What is composed as plain data is what Hydra composes."""

from __future__ import annotations

import os
import shutil

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from compiler.config import compose, search
from compiler.config.composition import compose_node, compose_values
from compiler.config.plain_composition import composed_plainly
from compiler.config.plain_values import NotPlainError
from compiler.config.search import CONFIG_NAME, config_folder, config_loader
from compiler.errors import UsageError

MODELS = config_loader().get_group_options("model")
BACKENDS = config_loader().get_group_options("backend")
ONE_OF_EACH = set(yaml.safe_load((config_folder() / "deploy_names.yaml").read_text())["tasks"].values())


def plain(*overrides, **folders):
    return composed_plainly(config_loader(**folders, plain=True), CONFIG_NAME, overrides)


def by_hydra(overrides, **folders):
    return OmegaConf.to_container(compose_node(overrides, **folders), resolve=True, throw_on_missing=True)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ONE_OF_EACH else pytest.mark.slow) for name in MODELS]
)
def test_a_model_is_what_hydra_composes(name):
    overrides = [f"model={name}"]
    assert repr(compose_values(overrides)) == repr(by_hydra(overrides))


@pytest.mark.parametrize("choice", [*(f"model={name}" for name in MODELS), *(f"backend={name}" for name in BACKENDS)])
def test_every_choice_of_ours_is_plain(choice):
    assert plain(choice)["model"]


@pytest.mark.parametrize(
    "overrides",
    [
        ["batch.largest=7", "cache_limit=3", "output='a b'", "keep_fp32=[a,'/head/*']", "checkpoint=null"],
        ["export.opset=1e1", "shape=static_256x192", "verify.tolerance=1e-3", "box=[1,2.5,-3,4]"],
        ["model.network.backbone.deepen_factor=0.5", "model=rtmpose-s", "model.name=mine", "model.input_shape=[32,32]"],
        ["++model.axes.height=64-128", "+model.inputs.x=1x3", "++batch.largest=2"],
        ["cache=${output}", "model.name=${.task}"],
        # What follows is not plain: Hydra itself composes it.
        ["output=a${cache_limit}", "cache=\\${x}"],
        ["~calibration.method", "batch={smallest:2}"],
        ["hydra.job.name=mine"],
        ["model=rtmpose-s", "output=${oc.env:HOME}"],
    ],
)
def test_overrides_do_what_they_do_in_hydra(overrides):
    assert repr(compose_values(overrides)) == repr(by_hydra(overrides))


@pytest.mark.parametrize(
    "override", ["hydra.job.name=mine", "~checkpoint", "batch.largest=1,2", "nope=1", "model={a:1}"]
)
def test_what_is_not_plain_is_refused(override):
    with pytest.raises(NotPlainError):
        plain(override)


def test_a_file_that_sets_hydra_is_left_to_it(tmp_path):
    (tmp_path / "model").mkdir()
    file = tmp_path / "model/mine.yaml"
    file.write_text("# @package _global_\ndefaults: [/model@model: rtmpose, _self_]\nhydra: {job: {name: x}}\n")
    with pytest.raises(NotPlainError, match="settings of Hydra's"):
        plain("model=mine", config_dir=tmp_path)
    file.write_text("# @package _global_\ndefaults: [/model@model: rtmpose, _self_]\nmore: ${output}\n")
    assert plain("model=mine", config_dir=tmp_path)["more"] == "${output}"
    overrides = ["model=mine"]
    assert compose_values(overrides, tmp_path) == by_hydra(overrides, config_dir=tmp_path)


def test_a_schema_that_the_calling_application_has_of_a_file_counts(monkeypatch):
    monkeypatch.setattr(ConfigStore.instance(), "repo", {**ConfigStore.instance().repo})
    ConfigStore.instance().store(group="backend", name="onnxruntime", node={"more": 1})
    with pytest.raises(NotPlainError, match="schema"):
        plain("backend=onnxruntime")


def test_a_file_of_ours_that_changes_between_two_compositions_is_seen(tmp_path, monkeypatch):
    ours = tmp_path / "conf"
    shutil.copytree(config_folder(), ours)
    monkeypatch.setattr(search, "config_folder", lambda: ours)
    file = ours / "model/rtmpose-s.yaml"
    times = file.stat()
    assert compose(["model=rtmpose-s"]).model.network["head"]["in_channels"] == 512
    file.write_text(file.read_text().replace("512", "640"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # as large and as old as before
    assert compose(["model=rtmpose-s"]).model.network["head"]["in_channels"] == 640
    file.unlink()
    with pytest.raises(UsageError, match="there is no model 'rtmpose-s'"):
        compose(["model=rtmpose-s"])


def test_a_file_of_the_users_that_changes_between_two_compositions_is_seen(tmp_path):
    (tmp_path / "model").mkdir()
    file = tmp_path / "model/mine.yaml"
    for padding in (1.5, 2.5):
        file.write_text(f"defaults: [rtmpose, _self_]\nname: mine\nprocessing: {{padding: {padding}}}\n")
        assert compose(["model=mine"], tmp_path).model.processing["padding"] == padding


def test_what_is_composed_belongs_to_its_caller():
    first = compose_values(["model=rtmpose"])
    first["model"]["network"]["backbone"]["arch"] = "changed"
    first["model"]["processing"]["keypoints"]["names"].clear()
    assert compose_values(["model=rtmpose"]) == by_hydra(["model=rtmpose"])
