"""What `plan` prints of what is in the way of an engine."""

from __future__ import annotations

from compiler.backends import Obstacle
from compiler.report.console import console
from compiler.report.obstacles import print_obstacles

TOO_MANY = Obstacle(
    "TopK", "topk_0, topk_1", "K may be more than 3840", "a measurement", "model.processing.test_cfg.nms_pre=3840"
)
UNKNOWN = Obstacle("own::Sort[0]", "sort", "TensorRT has no such operator", "a page")


def test_one_row_for_each_obstacle_says_what_to_do(capsys):
    print_obstacles(console(), [TOO_MANY, UNKNOWN], "tensorrt")
    header, first, second, verdict = capsys.readouterr().out.strip().splitlines()
    assert header.split() == ["operator", "times", "first", "node", "why", "seen", "what", "to", "do"]
    assert first.split()[:3] == ["TopK", "2", "topk_0"]
    assert first.rstrip().endswith("model.processing.test_cfg.nms_pre=3840")
    assert second.split()[:3] == ["own::Sort[0]", "1", "sort"]
    assert "write a graph rewriter" in second
    assert verdict.startswith("tensorrt cannot take this Program")


def test_where_nothing_is_in_the_way_one_line_says_so(capsys):
    print_obstacles(console(), [], "tensorrt")
    assert capsys.readouterr().out == "nothing stands in the way of an engine for tensorrt\n"
