"""The verb `export`: where models are written, and what is refused; see tests/serving for what is in them."""

from __future__ import annotations

import pytest

from compiler.errors import CompileError, UsageError
from tests.bundles import lock_again, small_bundle
from tests.cli.running import run_verb


@pytest.fixture
def pose(tmp_path):
    return small_bundle(tmp_path / "people", "pose")


def test_the_folders_of_the_models_are_printed_the_one_that_clients_ask_first(pose, tmp_path, capsys):
    models = tmp_path / "models"
    assert run_verb("export", "triton", str(pose), str(models)) == 0
    assert capsys.readouterr().out == f"{models / 'people'}\n{models / 'people_engine'}\n"
    assert run_verb("export", "triton", str(pose), str(models), "name=crowd", "limits.megapixels=3") == 0
    assert capsys.readouterr().out.startswith(str(models / "crowd"))
    assert 'string_value: "3.0"' in (models / "crowd/config.pbtxt").read_text()


def test_a_bundle_is_exported_without_torch_and_without_a_server(pose, command_line):
    run = command_line("export", "triton", str(pose), "models", "--debug", PYTHONPROFILEIMPORTTIME="1")
    assert run.returncode == 0, run.stderr
    imported = {line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines()}
    assert not imported & {"torch", "hydra", "tritonclient", "onnxruntime"}
    assert (command_line.folder / "models/people/1/model.py").is_file()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("tritn", "bundle", "models"), "export takes no 'tritn'"),
        (("triton", "bundle", "models", "nam=x"), "export takes no option 'nam'"),
        (("triton", "bundle", "models", "limits.megapixels=many"), "'limits.megapixels' must be"),
    ],
)
def test_what_it_cannot_take_is_refused(words, what):
    with pytest.raises(UsageError, match=what):
        run_verb("export", *words)


def test_a_bundle_is_refused_as_wherever_one_is_opened(pose, tmp_path):
    with pytest.raises(CompileError, match="is not a bundle"):
        run_verb("export", "triton", str(tmp_path), str(tmp_path / "models"))
    (pose / "config.yaml").write_text("model: {}\n")
    with pytest.raises(CompileError, match="not as it was made"):
        run_verb("export", "triton", str(pose), str(tmp_path / "models"))
    with pytest.raises(UsageError, match="is no name"):
        run_verb("export", "triton", str(small_bundle(tmp_path / "a", "pose")), str(tmp_path / "models"), "name=a/b")
    assert not (tmp_path / "models").exists()


def test_a_task_of_the_users_own_is_named_to_tritons_python(pose, tmp_path, monkeypatch):
    (tmp_path / "mytasks.py").write_text(
        "from dataclasses import dataclass\n"
        "from compiler.tasks.pose import TopdownPose\n\n"
        "@dataclass(frozen=True)\n"
        "class MyPose(TopdownPose):\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = pose / "config.yaml"
    config.write_text(config.read_text().replace("compiler.tasks.pose.TopdownPose", "mytasks.MyPose"))
    lock_again(pose)
    words = ("export", "triton", str(pose), str(tmp_path / "models"))
    with pytest.raises(CompileError, match="neither ours nor registered"):
        run_verb(*words)
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text("processing:\n  _target_: mytasks.MyPose\n")
    assert run_verb(*words, "--config-dir", str(tmp_path / "conf")) == 0
    told = (tmp_path / "models/people/config.pbtxt").read_text()
    assert 'key: "modules"\n  value {\n    string_value: "mytasks"' in told
