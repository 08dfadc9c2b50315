"""The help: all verbs and all choices, or what one verb takes."""

from __future__ import annotations

import pytest

from compiler.cli.verbs import VERBS
from compiler.config import compose
from compiler.config.search import config_loader
from compiler.errors import UsageError
from tests.cli.running import run_verb

BACKENDS = f"backend: {', '.join(config_loader().get_group_options('backend'))}"

FIRST = {"backend": "aotinductor", "classes": "coco", "keypoints": "coco", "model": "hrnet"}
"""Of each group, one that goes with a model that has such a thing."""


def test_help_names_every_verb_and_every_choice_and_imports_no_library(command_line):
    run = command_line("--help", "--debug", PYTHONPROFILEIMPORTTIME="1")
    assert run.returncode == 0
    assert all(verb in run.stdout for verb in VERBS)
    assert BACKENDS in " ".join(run.stdout.split())
    assert "model: centerpoint, centerpoint-pillar02-circlenms" in run.stdout
    assert "rtmpose, rtmpose-l" in run.stdout
    assert "+backend=onnxruntime +model=rtmpose" in run.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines()}
    assert "compiler.cli.verbs" in imported
    assert not imported & {"torch", "onnx", "onnxruntime", "cv2", "numpy", "hydra", "omegaconf", "yaml"}
    assert not imported & {"compiler.config.composition", "compiler.artifact", "importlib.metadata"}


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_answers_with_its_usage_its_arguments_and_an_example(capsys, verb, flag):
    assert run_verb(verb, flag) == 0
    page = capsys.readouterr().out
    assert page.startswith(f"usage: python -m compiler {verb} ")
    assert VERBS[verb].help in page
    assert "examples:\n  python -m compiler " in page
    assert run_verb("help", verb) == 0
    assert capsys.readouterr().out == page


@pytest.mark.parametrize("words", [["--help"], ["help"], ["help", "compile"], ["model=rtmpose", "-h"]])
def test_what_can_be_composed_is_told_where_no_verb_is_named(capsys, words):
    run_verb(*words)
    page = capsys.readouterr().out
    assert "usage: python -m compiler compile [override ...] [flags]" in page
    assert BACKENDS in " ".join(page.split())
    assert "--multirun, -m" in page
    assert "--cfg PART" in page


def test_the_choices_of_a_users_folder_are_told_wherever_the_flag_stands(capsys, tmp_path):
    (tmp_path / "model/mine").mkdir(parents=True)
    (tmp_path / "model/mine/small.yaml").write_text("defaults: [/model/rtmpose-t, _self_]\n")
    for words in (["--help", "--config-dir", str(tmp_path)], ["--config-dir", str(tmp_path), "--help"]):
        run_verb("plan", "model=rtmpose", *words)
        assert "\n  model/mine: small\n" in capsys.readouterr().out
    run_verb("plan", "--help")
    assert "mine" not in capsys.readouterr().out


def test_only_what_can_be_composed_is_a_choice(capsys):
    run_verb("--help")
    told = capsys.readouterr().out.partition("choices (group=option):")[2].partition("deploy:")[0]
    groups = [line.split(":")[0].strip() for line in told.strip().splitlines()]
    assert groups == ["backend", "classes", "keypoints", "model"]
    for group in groups:
        compose(["model=rtmdet" if group == "classes" else "model=hrnet", f"{group}={FIRST[group]}"])


@pytest.mark.parametrize("words", [["help", "explian"], ["explian", "--help"], ["explian", "somewhere"]])
def test_an_unknown_verb_is_refused_with_the_nearest(words):
    with pytest.raises(UsageError, match="there is no verb 'explian'") as caught:
        run_verb(*words)
    assert caught.value.fix == "did you mean explain?"


def test_the_help_of_a_verb_that_runs_bundles_needs_no_hydra(command_line):
    run = command_line("predict", "--help", "--debug", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines()}
    assert "argparse" in imported
    assert not imported & {"hydra", "numpy", "cv2", "rich"}
