"""`python -m compiler plan`: one row for each obstacle, and an exit status."""

import pytest

from compiler import plan
from compiler.backends import Obstacle
from compiler.errors import ExitCode, UsageError

TOO_MANY = Obstacle(
    "TopK", "topk_0, topk_1", "K may be more than 3840", "a measurement", "model.processing.test_cfg.nms_pre=3840"
)
UNKNOWN = Obstacle("own::Sort[0]", "sort", "TensorRT has no such operator", "a page")


@pytest.fixture
def planned(monkeypatch):
    """Let the pipeline find given obstacles, and remember the config that it was asked about."""
    asked = []

    def let_find(*obstacles):
        def find(config, listen):
            asked.append(config)
            return obstacles

        monkeypatch.setattr("compiler.pipeline.plan", find, raising=False)
        return asked

    return let_find


def test_obstacles_are_listed_and_fail(planned, capsys):
    asked = planned(TOO_MANY, UNKNOWN)
    assert plan.run(["+model=rtmdet-tiny", "tail=host"]) == ExitCode.FAILED
    assert (asked[0].model.name, asked[0].tail) == ("rtmdet-tiny", "host")
    header, first, second, verdict = capsys.readouterr().out.strip().splitlines()
    assert header.split() == ["operator", "times", "first", "node", "why", "seen", "what", "to", "do"]
    assert first.split()[:3] == ["TopK", "2", "topk_0"]
    assert first.rstrip().endswith("model.processing.test_cfg.nms_pre=3840")
    assert second.split()[:3] == ["own::Sort[0]", "1", "sort"]
    assert "write a graph rewriter" in second
    assert verdict.startswith("onnxruntime cannot take this Program")


def test_without_obstacles_it_says_so(planned, capsys):
    planned()
    assert plan.run(["model=rtmpose"]) == ExitCode.PROVEN
    assert capsys.readouterr().out.strip() == "nothing stands in the way of an engine for onnxruntime"


def test_a_folder_of_own_configs_is_read(planned, tmp_path):
    asked = planned()
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("defaults: [rtmpose, _self_]\nname: mine\n")
    assert plan.run(["model=mine", "--config-dir", str(tmp_path)]) == ExitCode.PROVEN
    assert asked[0].model.name == "mine"


@pytest.mark.parametrize("arguments", [["--multirun", "model=rtmpose"], ["--config-dir"]])
def test_other_flags_are_refused(planned, arguments):
    planned()
    with pytest.raises(UsageError, match="no such flag"):
        plan.run(arguments)
