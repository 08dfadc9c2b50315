"""What a file from somebody else may name: our classes, by any name they had, and those that are registered."""

import sys
from pathlib import Path

import pytest

from compiler.config.known_classes import (
    BACKENDS,
    ENTRY_POINT_GROUP,
    TASKS,
    check_classes,
    modules_of,
    registered_modules,
)
from compiler.errors import CompileError, UsageError

POSE = {"_target_": "compiler.tasks.pose.TopdownPose", "codec": {"_target_": "compiler.tasks.pose.codecs.SimCCLabel"}}


def check(node, modules=()):
    check_classes(node, (TASKS,), "bundle/config.yaml", "model.processing", modules)


@pytest.mark.parametrize(
    "target",
    [
        "payload.X",
        "venv.__main__.X",
        "compiler.__main__.X",
        "compiler.tasksX.Y",
        "compiler.tasks",
        "compiler.backends.onnxruntime.OnnxRuntime",
        "compiler.networks.build.X",
        "compiler.tasks..X",
        ".compiler.tasks.pose.X",
        "compiler.tasks.pose/../../payload.X",
        "compiler.tasks.pose\n.X",
        "${oc.env:HOME}",
        "",
        None,
        3,
        ["compiler.tasks.pose.TopdownPose"],
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_what_is_neither_ours_nor_registered_is_refused_with_its_place(target, nested):
    node = {**POSE, "codec": {"points": [1, {"_target_": target}]}} if nested else {**POSE, "_target_": target}
    before = set(sys.modules)
    with pytest.raises(CompileError, match="neither ours nor registered by you") as caught:
        check(node)
    place = "codec.points[1]._target_" if nested else "_target_"
    assert caught.value.where == f"bundle/config.yaml: model.processing.{place}"
    assert set(sys.modules) == before


def test_a_class_is_named_in_the_error_with_how_it_is_registered():
    with pytest.raises(CompileError, match="'mine.tasks.Classification'") as caught:
        check({"_target_": "mine.tasks.Classification"})
    assert "--config-dir" in caught.value.fix
    assert "modules=['mine.tasks']" in caught.value.fix
    assert ENTRY_POINT_GROUP in caught.value.fix


@pytest.mark.parametrize("target", ["compiler.tasks.tensors.RawTensors", "compiler.tasks.text.dictionary.Dictionary"])
def test_our_own_classes_may_be_named_as_they_were_called_before(target):
    check({**POSE, "other": {"_target_": target}})


def test_each_place_has_packages_of_its_own():
    check_classes({"_target_": "compiler.backends.tensorrt.TensorRT"}, (BACKENDS,), "engine.json", "backend")
    with pytest.raises(CompileError, match="neither ours nor registered"):
        check_classes(POSE, (BACKENDS,), "engine.json", "backend")


def test_a_module_of_the_users_is_one_module_and_not_what_is_below_it():
    check({"_target_": "mine.tasks.X"}, {"mine.tasks"})
    for target in ("mine.tasks.deeper.X", "mine.X", "mine.tasksX.X"):
        with pytest.raises(CompileError, match="neither ours nor registered"):
            check({"_target_": target}, {"mine.tasks"})


def written(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def test_a_config_folder_registers_what_its_models_and_backends_name(tmp_path):
    folder = written(
        tmp_path,
        {
            "backend/mine.yaml": "_target_: mine.backend.Mine\nname: mine\n",
            "model/group/mine.yaml": "processing:\n  _target_: mine.tasks.T\n  codec: {_target_: mine.codecs.C}\n",
            "model/other.yaml": "processing: {_target_: '${x}', size: '${oc.env:HOME}'}\n",
        },
    )
    assert modules_of(folder) == {"mine.backend", "mine.tasks", "mine.codecs"}
    assert modules_of(None) == frozenset()


def test_a_bundle_that_lies_below_a_config_folder_registers_nothing(tmp_path):
    written(tmp_path, {"bundle/config.yaml": "backend: {_target_: payload.X}\n", "backend/mine.txt": "_target_: a.B"})
    assert modules_of(tmp_path) == frozenset()


def test_a_config_folder_that_is_missing_or_broken_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        modules_of(tmp_path / "nowhere")
    written(tmp_path, {"model/mine.yaml": "a: [1"})
    with pytest.raises(UsageError, match="not valid YAML") as caught:
        modules_of(tmp_path)
    assert caught.value.where == f"{tmp_path / 'model/mine.yaml'}, line 2"
    assert "\n" not in caught.value.why


def distribution(folder: Path) -> Path:
    text = f"[{ENTRY_POINT_GROUP}]\nmine = mine.tasks\nother = mine.backend:Mine\n[something.else]\nx = payload\n"
    metadata = "Metadata-Version: 2.1\nName: mine\nVersion: 1\n"
    return written(folder, {"mine-1.dist-info/entry_points.txt": text, "mine-1.dist-info/METADATA": metadata})


def test_an_installed_distribution_registers_modules(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(distribution(tmp_path))
    assert {"mine.tasks", "mine.backend"} <= registered_modules()
    assert "payload" not in registered_modules()
    check({"_target_": "mine.tasks.Classification"})


@pytest.mark.parametrize("entry", ["", ".", "{here}"])
def test_what_lies_in_the_current_folder_is_not_installed(tmp_path, monkeypatch, entry):
    monkeypatch.chdir(distribution(tmp_path))
    monkeypatch.syspath_prepend(entry.format(here=tmp_path))
    assert "mine.tasks" not in registered_modules()
