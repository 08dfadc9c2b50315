"""A backend from another distribution: installed with pip, chosen by its name."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compiler.config.known_classes import registered_modules
from compiler.config.plug_ins import ENTRY_POINT_GROUP, plug_in_folders
from compiler.config.search import config_folder, config_loader
from compiler.errors import CompileError, UsageError

CLASS = '''
import shutil
from dataclasses import dataclass

from compiler.artifact import Engine, OnnxProgram
from compiler.backends import Backend, Probe

FILE = "end2end.onnx"


@dataclass(frozen=True, kw_only=True)
class Reference(Backend):
    """ONNX's own evaluator."""

    verbose: int = 0

    def probe(self):
        return Probe("1.0", ("CPU",))

    def plan(self, program):
        return ()

    def build(self, request):
        program = OnnxProgram.of(request.program)
        shutil.copyfile(program.path, request.folder / FILE)
        engine = Engine(request.folder, (FILE,), self.node(), program.inputs, program.outputs)
        engine.save()
        return engine

    def open(self, engine):
        return Evaluator(engine.path, self.verbose)


class Evaluator:
    def __init__(self, path, verbose):
        from onnx.reference import ReferenceEvaluator

        self.evaluator = ReferenceEvaluator(str(path), verbose=verbose)

    def run(self, tensors):
        return dict(zip(self.evaluator.output_names, self.evaluator.run(None, dict(tensors)), strict=True))
'''
CONFIG = "_target_: reference_plug_in.backend.Reference\nname: reference\nverbose: 0\n"


def wheel(folder: Path, entry_point: str = "reference_plug_in.conf") -> Path:
    """A distribution as somebody else would publish it."""
    information = "reference_plug_in-1.0.dist-info"
    files = {
        "reference_plug_in/__init__.py": "",
        "reference_plug_in/backend.py": CLASS,
        "reference_plug_in/conf/backend/reference.yaml": CONFIG,
        f"{information}/METADATA": "Metadata-Version: 2.1\nName: reference-plug-in\nVersion: 1.0\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/entry_points.txt": f"[{ENTRY_POINT_GROUP}]\nreference = {entry_point}\n",
    }
    files[f"{information}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{information}/RECORD"])
    path = folder / "reference_plug_in-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def install(folder: Path, **options: str) -> Path:
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*pip, str(wheel(folder, **options))], check=True, env={**os.environ, "PIP_USER": "0"})
    return site


def test_an_installed_backend_compiles_predicts_and_is_listed_like_ours(command_line, tmp_path):
    site = {"PYTHONPATH": os.pathsep.join([str(install(tmp_path)), os.environ.get("PYTHONPATH", "")])}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Softmax", ["x"], ["y"])], "graph", [x], [y])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), tmp_path / "softmax.onnx"
    )

    run = command_line("backend=reference", "model=onnx", "model.file=softmax.onnx", **site)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "engine (reference)" in run.stdout

    bundle = next(path for path in tmp_path.glob("outputs/**/*_reference_*") if path.is_dir())
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 3), np.float32))
    predicted = command_line("predict", str(bundle), "x.npz", **site)
    assert predicted.returncode == 0, predicted.stdout + predicted.stderr
    assert "0.333" in predicted.stdout
    assert "reference" in command_line("--help", **site).stdout

    slip = command_line("backend=referenec", "model=onnx", "model.file=softmax.onnx", **site)
    assert (slip.returncode, "did you mean reference?" in slip.stderr) == (2, True), slip.stderr


def test_its_classes_are_known_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(install(tmp_path)))
    assert "reference_plug_in.backend" in registered_modules()
    assert "reference" in config_loader().get_group_options("backend")
    assert "reference_plug_in" not in sys.modules


def test_an_editable_installation_of_the_current_folder_counts(tmp_path, monkeypatch):
    site, project = tmp_path / "metadata", tmp_path / "project"
    shutil.copytree(install(tmp_path), project)
    site.mkdir()
    shutil.move(project / "reference_plug_in-1.0.dist-info", site)
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.syspath_prepend(str(project))
    assert plug_in_folders() == {"reference-plug-in": project / "reference_plug_in/conf"}


def test_a_plug_in_without_its_configs_is_named(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(install(tmp_path, entry_point="reference_plug_in.configs")))
    with pytest.raises(CompileError, match="the plug-in reference-plug-in brings no configs") as caught:
        plug_in_folders()
    assert caught.value.why == "there is no package reference_plug_in.configs"
    assert caught.value.fix == "repair or uninstall reference-plug-in"


def test_a_config_with_the_name_of_one_of_ours_is_refused_and_not_passed_over(tmp_path):
    (tmp_path / "backend").mkdir()
    theirs = tmp_path / "backend/onnxruntime.yaml"
    theirs.write_text((config_folder() / "backend/onnxruntime.yaml").read_text())
    config_loader(tmp_path)
    theirs.write_text(theirs.read_text().replace("threads: null", "threads: 7"))
    with pytest.raises(UsageError, match="onnxruntime.yaml has the name of one of ours") as caught:
        config_loader(tmp_path)
    assert caught.value.fix == "call it backend/my_onnxruntime.yaml, and choose it by that name"


def test_nothing_is_brought_where_no_plug_in_is_installed():
    assert plug_in_folders() == {}


def test_a_folder_of_packages_that_the_user_may_not_look_into_brings_none(tmp_path, monkeypatch):
    closed = tmp_path / "closed/python311.zip"
    kept = Path.is_dir

    def is_dir(path):
        if path == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return kept(path)

    before = plug_in_folders()
    monkeypatch.syspath_prepend(str(closed))
    monkeypatch.setattr(Path, "is_dir", is_dir)
    assert plug_in_folders() == before
