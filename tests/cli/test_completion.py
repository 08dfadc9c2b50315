"""What a shell is told may come next."""

from __future__ import annotations

import pytest

from compiler.cli.completion import completions, print_completions


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("pr", ["predict", "profile", "precision="]),
        ("help p", ["plan", "predict", "profile", "publish"]),
        ("predict bundle a.jpg b", ["box=", "batch="]),
        ("predict --h", ["--help"]),
        ("evaluate <bundle> metric", ["metric=", "metric."]),
        ("compile --m", ["--multirun"]),
        ("precision=fp", ["precision=fp32", "precision=fp16"]),
        ("plan model=rtmpose +tail=", ["+tail=native", "+tail=host", "+tail=raw"]),
        ("calibration.method=p", ["calibration.method=percentile"]),
        ("plan model=panet-", ["model=panet-r18", "model=panet-r18-ctw1500"]),
        ("-m +model=simcc-mobilenetv2 backend.thr", ["backend.threads="]),
        ("imag", ["image="]),
        ("keypoints", ["keypoints="]),
        ("classe", ["classes="]),
        ("zebra", []),
    ],
)
def test_the_last_word_is_completed(line, expected):
    assert completions(line.split(" ")) == expected


def test_a_new_word_may_be_a_verb_or_an_override_and_nothing_of_hydra():
    offered = completions([""])
    assert {"plan", "predict", "model=", "deploy=", "batch."} <= set(offered)
    assert not [one for one in offered if one.startswith("hydra")]


def test_the_choices_of_a_users_folder_are_completed(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/zebra.yaml").write_text("defaults: [rtmpose-t, _self_]\n")
    assert completions(["--config-dir", str(tmp_path), "model=zeb"]) == ["model=zebra"]


@pytest.mark.parametrize("line", ["", "deploy-compiler", "deploy-compiler model=nope sh", "deploy-compiler mo[="])
def test_a_prompt_is_never_given_a_message(monkeypatch, capfd, line):
    monkeypatch.setenv("COMP_LINE", line)
    print_completions("bash")
    printed = capfd.readouterr()
    assert "error" not in printed.out
    assert printed.err == ""


@pytest.mark.parametrize(("shell", "separator"), [("bash", " "), ("zsh", " "), ("fish", "\n")])
def test_each_shell_gets_its_own_separator(monkeypatch, capsys, shell, separator):
    monkeypatch.setenv("COMP_LINE", "python -m compiler plan precision=fp")
    print_completions(shell)
    assert capsys.readouterr().out == f"precision=fp32{separator}precision=fp16\n"
