"""What configs of an earlier layout say is understood: classes that moved, and a tail that became a rewriter."""

from dataclasses import asdict
from pkgutil import resolve_name

import pytest
from omegaconf import OmegaConf
from torch import nn

from compiler.config import compose
from compiler.config.moved import MOVED, PLUGIN_BACKEND, PLUGIN_REWRITER, hints, present_target
from compiler.config.search import config_loader
from compiler.networks import with_tail
from compiler.runtime import read_config
from compiler.selection.tail import DetectionTail
from compiler.tasks import build_task
from rewriters import RewriterError, Target, discover, select

DETECTOR, PLUGIN = "model=rtmdet-tiny", "tail=plugin"
WITHOUT_PLUGIN = [name for name in config_loader().get_group_options("backend") if name != PLUGIN_BACKEND]


@pytest.mark.parametrize("present", MOVED.values())
def test_what_moved_is_where_it_is_said_to_be(present):
    assert resolve_name(present)


def test_a_class_is_found_under_its_old_name_and_one_with_a_longer_name_is_another():
    assert present_target("compiler.networks.tails.DetectionTail") == "compiler.selection.tail.DetectionTail"
    assert present_target("compiler.networks.tails.DetectionTails") == "compiler.networks.tails.DetectionTails"
    assert present_target("compiler.networks.tails.LastOutput") == "compiler.networks.tails.LastOutput"
    assert present_target("compiler.tasks.bottomup.BottomupPose") == "compiler.tasks.pose.bottomup.BottomupPose"


def test_a_model_of_the_users_may_name_the_tail_as_before():
    node = {"_target_": "compiler.networks.tails.DetectionTail", "kind": "native", "test_cfg": {}}
    assert isinstance(with_tail(nn.Identity(), node), DetectionTail)


def test_with_tensorrt_the_plugin_is_the_native_tail_and_the_rewriter_that_must_fuse_it():
    backend = f"backend={PLUGIN_BACKEND}"
    named, native = compose([DETECTOR, backend, PLUGIN]), compose([DETECTOR, backend, "tail=native"])
    assert named.model == native.model
    assert named.rewriters.require == (PLUGIN_REWRITER,)
    (hint,) = hints(named)
    assert hint.startswith("tail=plugin is now called tail=native with rewriters.require=[fuse_nms]")
    assert hints(native) == native.rewriters.require == ()


def test_a_rewriter_that_is_required_already_is_required_once():
    config = compose([DETECTOR, f"backend={PLUGIN_BACKEND}", PLUGIN, "rewriters.require=[fuse_nms]"])
    assert config.rewriters.require == (PLUGIN_REWRITER,)


@pytest.mark.parametrize("backend", WITHOUT_PLUGIN)
def test_elsewhere_it_is_the_native_tail_and_the_hint_says_that_there_is_no_such_plugin(backend):
    common = (DETECTOR, f"backend={backend}", "precision=fp16" if backend == "rknn" else "precision=fp32")
    named = compose([*common, PLUGIN])
    native = compose([*common, "tail=native"])
    assert (named.model, named.rewriters) == (native.model, native.rewriters)
    (hint,) = hints(named)
    assert f"only backend={PLUGIN_BACKEND} makes it the one node EfficientNMS_TRT" in hint
    assert f"{backend} is given the native tail as it is" in hint


def test_the_rewriter_is_for_that_backend_and_no_other():
    assert PLUGIN_REWRITER in {rewriter.name for rewriter in select(discover(), Target(PLUGIN_BACKEND)).graphs}
    for backend in WITHOUT_PLUGIN:
        with pytest.raises(RewriterError, match=f"{PLUGIN_REWRITER} is required"):
            select(discover(), Target(backend), require=[PLUGIN_REWRITER])


def test_a_network_without_a_detectors_tail_is_asked_for_no_plugin():
    config = compose(["model=rtmpose", f"backend={PLUGIN_BACKEND}", PLUGIN])
    assert hints(config) == config.rewriters.require == ()


def test_a_bundle_that_was_compiled_with_the_plugin_opens(tmp_path):
    before = asdict(compose([DETECTOR, "backend=onnxruntime"]))
    before["tail"] = before["model"]["tail"]["kind"] = before["model"]["processing"]["tail"] = "plugin"
    before["model"]["tail"]["_target_"] = "compiler.networks.tails.DetectionTail"
    OmegaConf.save(before, tmp_path / "config.yaml")
    config = read_config(tmp_path)
    assert build_task(config.model.processing).outputs == ("dets", "labels")
    assert config.model.tail["kind"] == "native"
