"""`model=openmmlab model.config=<file>`: the user's own model, compiled without a file in `conf/model/`."""

from __future__ import annotations

import json

import pytest
import torch

from compiler import build_network
from compiler.config import compose
from compiler.errors import UsageError
from compiler.openmmlab.translated_model import translated_model
from tests.conftest import PHOTOGRAPH
from tests.openmmlab.user_config import CONFIG

CHOICE = ("model=openmmlab", "model.config=work_dirs/my_pose.py")
QUICKLY = "export.exporter=torchscript"


@pytest.fixture
def work_folder(command_line):
    """A folder with a config and the checkpoint that its training left behind."""
    folder = command_line.folder / "work_dirs"
    folder.mkdir()
    (folder / "base.py").write_text("default_scope = 'mmpose'\n")
    (folder / "my_pose.py").write_text(CONFIG)
    weights = build_network(folder / "my_pose.py").state_dict()
    torch.save({"meta": {"epoch": 40}, "state_dict": weights, "optimizer": {}}, folder / "epoch_40.pth")
    return command_line.folder


def test_a_config_and_a_checkpoint_become_a_proven_engine(command_line, work_folder, shared_cache):
    trained = "checkpoint=work_dirs/epoch_40.pth"
    run = command_line(*CHOICE, trained, f"image={PHOTOGRAPH}", QUICKLY, f"cache={shared_cache}")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "proven: every stage is within its tolerance, on " in run.stdout
    (report,) = work_folder.glob("outputs/pose-detection_my-pose_onnxruntime_dynamic_256x192*/report.json")
    bundle = report.parent
    config = json.loads((bundle / "report.json").read_text())["config"]
    assert config["model"]["config"] == "work_dirs/my_pose.py"
    # The bundle stands alone: it predicts where neither the config nor the checkpoint is.
    (work_folder / "work_dirs").rename(work_folder / "elsewhere")
    predicted = command_line("predict", str(bundle), str(PHOTOGRAPH))
    assert len(json.loads(predicted.stdout)[0]["keypoints"]) == 17


def test_what_the_config_says_can_be_overridden(work_folder, monkeypatch):
    monkeypatch.chdir(work_folder)
    overrides = [*CHOICE, "model.name=mine", "model.processing.flip_test=false", "+shape=static"]
    with translated_model(overrides) as folder:
        config = compose(overrides, model_folder=folder)
    assert config.model.name == "mine"
    assert config.model.processing["flip_test"] is False


def test_several_configs_make_a_sweep(command_line, work_folder, shared_cache):
    (work_folder / "work_dirs/other.py").write_text(
        '_base_ = "my_pose.py"\nmodel = dict(test_cfg=dict(flip_test=False))\n'
    )
    (work_folder / "work_dirs/broken.py").write_text(
        "_base_ = 'my_pose.py'\nmodel = dict(backbone=dict(type='CSPNext'))\n"
    )
    files = ",".join(f"work_dirs/{name}.py" for name in ("other", "broken"))
    run = command_line(
        "-m", "model=openmmlab", f"model.config={files}", "shape=static", QUICKLY, f"cache={shared_cache}"
    )
    rows = json.loads(next(work_folder.glob("outputs/multirun-*.json")).read_text())
    assert [(row["model"], row["result"]) for row in rows] == [("other", "proven"), ("", "failed")]
    assert "CSPNext" in rows[1]["problem"]
    assert run.returncode == 1


def test_the_composed_config_can_be_looked_at(command_line, work_folder):
    shown = command_line(*CHOICE, "--cfg", "job", "--package", "model.network.backbone")
    assert shown.returncode == 0, shown.stderr
    assert "widen_factor: 0.375" in shown.stdout


def test_a_path_with_a_comma_is_quoted(work_folder, monkeypatch):
    monkeypatch.chdir(work_folder)
    (work_folder / "work_dirs/my_pose.py").rename(work_folder / "work_dirs/a,b.py")
    with translated_model(["model=openmmlab", "model.config='work_dirs/a,b.py'"]) as folder:
        assert (folder / "model/openmmlab.yaml").read_text().startswith("# a-b, from a,b.py.")


def test_bases_of_another_package_are_read_where_the_user_says(work_folder, monkeypatch):
    monkeypatch.chdir(work_folder)
    configs = work_folder / "mim"
    configs.mkdir()
    (configs / "whole.py").write_text((work_folder / "work_dirs/my_pose.py").read_text().replace('["base.py"]', "[]"))
    (work_folder / "work_dirs/mine.py").write_text("_base_ = 'mmpose::whole.py'\n")
    overrides = ["model=openmmlab", "model.config=work_dirs/mine.py", "model.packages.mmpose=mim"]
    with translated_model(overrides) as folder:
        assert compose(overrides, model_folder=folder).model.packages == {"mmpose": "mim"}


def test_another_model_needs_no_folder():
    with translated_model(["+model=rtmpose", "box=1,2,3,4", "shape=static"]) as folder:
        assert folder is None


MISTAKES = {
    "no config": (["model=openmmlab"], "the OpenMMLab config is missing"),
    "another model": (["model=rtmpose", "model.config=a.py"], "model.config is given for another model"),
    "no model": (["model.config=a.py"], "model.config is given for another model"),
    "packages of another model": (["model=rtmpose", "model.packages.mmdet=."], "are given for another model"),
    "no such package": (
        ["model=openmmlab", "model.config=a.py", "model.packages.mmdte=."],
        "there is no package mmdte",
    ),
    "no such file": (["model=openmmlab", "model.config=a.py"], "this config cannot be read"),
    "two without a sweep": (["model=openmmlab", "model.config=a.py,b.py"], "names several configs"),
    "not to be parsed": (["model=openmmlab", "model.config='a.py"], "cannot be read"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_in_one_message(mistake):
    overrides, message = MISTAKES[mistake]
    with pytest.raises(UsageError, match=message), translated_model(overrides):
        pass


def test_a_network_is_built_from_its_config_alone(work_folder):
    network = build_network(work_folder / "work_dirs/my_pose.py")
    assert list(network.state_dict()) == list(build_network("rtmpose-t").state_dict())


def test_bases_of_another_package_are_found_for_a_network_alone(work_folder):
    configs = work_folder / "mim"
    configs.mkdir()
    (configs / "whole.py").write_text((work_folder / "work_dirs/my_pose.py").read_text().replace('["base.py"]', "[]"))
    (work_folder / "work_dirs/mine.py").write_text("_base_ = 'mmpose::whole.py'\n")
    assert build_network(work_folder / "work_dirs/mine.py", packages={"mmpose": str(configs)}).head
    with pytest.raises(UsageError, match="given for a model that needs none"):
        build_network("rtmpose-t", packages={"mmpose": str(configs)})
