"""`tail=plugin`, as TensorRT's fused suppression was called: who names it gets it, and is told what to write today."""

from __future__ import annotations

from compiler.config import compose
from compiler.config.moved import hints
from compiler.events import StageFinished, Warned
from compiler.pipeline import find_obstacles


def test_who_names_the_plugin_gets_its_node_and_a_hint(tmp_path, shared_cache):
    heard = []
    detector = ["model=rtmdet-tiny", "shape=static_320x320", "backend=tensorrt", "tail=plugin"]
    config = compose([*detector, f"output={tmp_path}", f"cache={shared_cache}"])
    assert find_obstacles(config, heard.append) == ()
    (hint,) = [event.message for event in heard if isinstance(event, Warned) and "tail=" in event.message]
    assert (hint,) == hints(config)
    (rewritten,) = [event for event in heard if isinstance(event, StageFinished) and event.stage == "rewrite"]
    assert "fuse_nms" in rewritten.detail
