"""A bundle is data: whatever it names and whatever lies in it, opening, building and explaining it runs nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from compiler import runtime
from compiler.cli.verbs import understood
from compiler.config.known_classes import ENTRY_POINT_GROUP, modules_of
from compiler.errors import CompileError, ExitCode
from compiler.pipeline import build_bundle
from compiler.runtime.text_spotting import open_spotter
from tests.bundles import lock_again

BUNDLES = Path(__file__).parents[1] / "data" / "first_layout"
PAYLOAD = "import pathlib\npathlib.Path(__file__).with_name('EXECUTED').touch()\nclass X: pass\n"
USERS = """
from dataclasses import dataclass

from compiler.backends.onnxruntime import OnnxRuntime
from compiler.tasks.arrays.task import RawTensors


@dataclass(frozen=True, kw_only=True)
class Mine(OnnxRuntime):
    pass


@dataclass(frozen=True)
class Arrays(RawTensors):
    pass
"""
HOSTILE = ("payload.X", "venv.__main__.X", "compiler.__main__.X", "json.decoder.JSONDecoder", "compiler.tasks.payload")


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Copy a bundle into the current folder, first on the path as `python -m` has it, with Python files beside it."""

    def copied(name: str) -> Path:
        folder = tmp_path / "bundle"
        shutil.copytree(BUNDLES / name, folder)
        for file in ("payload.py", "venv/__init__.py", "venv/__main__.py", "argparse.py"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(PAYLOAD)
        monkeypatch.chdir(folder)
        monkeypatch.syspath_prepend(folder)
        return folder

    yield copied
    assert not list(tmp_path.rglob("EXECUTED"))
    assert "payload" not in sys.modules


ARRAYS, DICTIONARY = r"tasks\.tensors\.RawTensors", r"tasks\.text\.dictionary\.Dictionary"
BACKEND = r"backends\.\w+\.\w+"


def name_class(folder: Path, file: str, ours: str, target: str) -> None:
    """Write another class for one of ours into a file of a bundle, and a lock that goes with it."""
    change(folder, file, rf"\bcompiler\.{ours}", target)


def change(folder: Path, file: str, pattern: str, new: str) -> None:
    changed, count = re.subn(pattern, new, (folder / file).read_text())
    assert count == 1
    (folder / file).write_text(changed)
    lock_again(folder)


@pytest.mark.parametrize(
    ("name", "file", "ours"),
    [
        ("arrays", "config.yaml", ARRAYS),
        ("reader", "config.yaml", DICTIONARY),
        ("arrays", "config.yaml", BACKEND),
        ("arrays", "engine.json", BACKEND),
    ],
)
@pytest.mark.parametrize("target", HOSTILE)
def test_nothing_is_imported_that_a_bundle_names(bundle, name, file, ours, target):
    folder = bundle(name)
    name_class(folder, file, ours, target)
    before = set(sys.modules)
    with pytest.raises(CompileError) as caught:
        runtime.open(folder)
    # What is called like one of our packages is looked for there, and there is no such class.
    assert target in str(caught.value)
    if target != "compiler.tasks.payload":
        assert "is not imported" in caught.value.what
        assert "registered by you" in caught.value.what
        assert str(folder) in caught.value.where
        assert "_target_" in caught.value.where
    assert not {module for module in set(sys.modules) - before if not module.startswith("compiler.")}


@pytest.mark.parametrize("file", ["config.yaml", "engine.json"])
def test_nothing_is_imported_for_a_build_either(bundle, file):
    folder = bundle("tensorrt")
    name_class(folder, file, BACKEND, "payload.X")
    with pytest.raises(CompileError, match="'payload.X' is neither ours nor registered by you"):
        build_bundle(folder)


def test_nor_for_two_bundles_that_read_text(bundle):
    folder = bundle("reader")
    name_class(folder, "engine.json", BACKEND, "payload.X")
    with pytest.raises(CompileError, match="'payload.X' is neither ours nor registered by you"):
        open_spotter(BUNDLES / "text", folder)


def test_a_network_of_somebody_else_is_never_built_and_so_may_be_called_anything(bundle):
    folder = bundle("reader")
    change(folder, "config.yaml", r"\btinynets\.TinyReader\b", "payload.X")
    assert runtime.open(folder)


def test_what_stands_in_for_something_else_stays_text(bundle, monkeypatch):
    monkeypatch.setenv("SECRET", "revealed")
    called = []
    OmegaConf.register_new_resolver("tell", called.append, replace=True)
    folder = bundle("arrays")
    change(folder, "config.yaml", r"\bcheckpoint: null", "checkpoint: ${oc.env:SECRET}${tell:it}")
    runtime.open(folder)
    assert runtime.read_config(folder).checkpoint == "${oc.env:SECRET}${tell:it}"
    OmegaConf.clear_resolver("tell")
    assert not called


@pytest.fixture
def users(bundle, tmp_path, monkeypatch):
    """A bundle for a backend and a task of the user's own, whose module can be imported."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages/users_own.py").write_text(USERS)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    folder = bundle("arrays")
    name_class(folder, "config.yaml", ARRAYS, "users_own.Arrays")
    name_class(folder, "config.yaml", BACKEND, "users_own.Mine")
    name_class(folder, "engine.json", BACKEND, "users_own.Mine")
    yield folder
    sys.modules.pop("users_own", None)


def test_a_class_of_the_users_own_is_refused_until_it_is_registered(users):
    with pytest.raises(CompileError, match=r"'users_own\.Mine' is neither ours nor registered by you"):
        runtime.open(users)
    assert "users_own" not in sys.modules


def opened(predictor) -> bool:
    return type(predictor.task).__name__ == "Arrays" and bool(predictor(predictor.task.sample_source()))


def test_python_names_its_modules(users):
    assert opened(runtime.open(users, ["users_own"]))


def test_a_config_folder_names_them(users, tmp_path):
    (tmp_path / "configs/backend").mkdir(parents=True)
    (tmp_path / "configs/backend/mine.yaml").write_text("_target_: users_own.Mine\nname: mine\n")
    assert opened(runtime.open(users, modules_of(tmp_path / "configs")))


def test_an_installed_distribution_names_them(users, tmp_path):
    metadata = tmp_path / "packages/users_own-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: users-own\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nany = users_own\n")
    assert opened(runtime.open(users))


def test_a_registered_module_makes_no_other_class_a_task(users):
    change(users, "config.yaml", r"\busers_own\.Arrays\b", "users_own.dataclass")
    with pytest.raises(CompileError, match="is not a Task"):
        runtime.open(users, ["users_own"])


def test_the_verbs_that_open_a_bundle_take_a_config_folder(tmp_path):
    for words in (["predict", "bundle", "image.jpg"], ["build", "bundle"]):
        verb, given = understood([*words, "--config-dir", str(tmp_path)])
        assert given.config_dir == tmp_path
        assert "--config-dir" in verb.page()


def test_an_engine_that_brings_code_for_the_processor_is_opened_where_the_user_says_so(bundle):
    folder = bundle("tensorrt")
    change(folder, "engine.json", r'"version_compatible": false', '"version_compatible": true')
    with pytest.raises(CompileError, match="brings code of its own") as caught:
        runtime.open(folder)
    assert "--engine-code" in caught.value.fix
    with pytest.raises(CompileError) as caught:  # there is no TensorRT here, or no engine yet
        runtime.open(folder, engine_code=True)
    assert "brings code" not in caught.value.what


def test_the_command_line_gives_one_message(bundle, command_line):
    name_class(bundle("arrays"), "engine.json", BACKEND, "payload.X")
    run = command_line("predict", "bundle", "image.jpg")
    assert run.returncode == ExitCode.FAILED
    assert run.stderr.startswith("error: the class 'payload.X' is neither ours nor registered by you")
    assert run.stderr.count("\n") == 4
    assert not run.stdout


def test_the_installed_command_takes_no_module_from_the_folder_of_a_bundle(bundle):
    sample = runtime.open(BUNDLES / "arrays").task.sample_source()
    folder = bundle("arrays")
    shutil.copy(sample, folder / "sample.npz")
    for name in ("__future__", "json", "numpy", "onnxruntime", "os", "pkgutil", "tensorrt", "typing"):
        (folder / f"{name}.py").write_text(PAYLOAD)
    start = "import sys; sys.path.pop(0); from compiler.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "predict", ".", "sample.npz"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == ExitCode.PROVEN, run.stderr
