"""`build_engine.py`, as it lies in a bundle, run by an interpreter that knows nothing of the compiler."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.artifact import LOCK_FILE, file_digests, write_json
from compiler.artifact.lock import require_unchanged
from compiler.backends import build_backend
from tests.backends.nvidia import batches, convolution, matrix_product, request, write_alias

tensorrt_rtx = pytest.importorskip("tensorrt_rtx")

PACKAGES = Path(tensorrt_rtx.__file__).parents[1]
TENSORRT = {"_target_": "compiler.backends.tensorrt.TensorRT", "name": "tensorrt"}
RTX = {"_target_": "compiler.backends.tensorrt_rtx.TensorRTRTX", "name": "tensorrt_rtx"}


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    """Write a bundle whose engine is still to be built, where TensorRT-RTX stands in for TensorRT."""

    def write(program, node, *profiles):
        folder = tmp_path / "bundle"
        build_backend(node).deferred_build(request(program, folder, *profiles))
        write_alias(tmp_path, monkeypatch)
        return folder

    return write


def run(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-S", bundle / "build_engine.py", *arguments],  # -S: nothing that is installed is seen
        env={**os.environ, "PYTHONPATH": f"{bundle.parent}{os.pathsep}{PACKAGES}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("node", [TENSORRT, RTX])
def test_it_builds_the_engine_that_the_compiler_builds(bundle, tmp_path, node):
    program = convolution(tmp_path)
    engine = build_backend(RTX).build(request(program, tmp_path / "engine"))
    folder = bundle(program, node)
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "end2end.engine").stat().st_size == engine.path.stat().st_size
    assert "Building engine" in done.stdout
    details = json.loads((folder / "engine_details.json").read_text())
    assert details["library"] == node["name"]
    assert details["version"] == tensorrt_rtx.__version__


def test_the_profiles_and_the_options_are_literals_in_it(bundle, tmp_path):
    program = convolution(tmp_path)
    node = {**TENSORRT, "workspace": 2.5, "optimization_level": 4}
    source = (
        bundle(program, node, batches(program, 1, 2, 4), batches(program, 5, 8, 16)) / "build_engine.py"
    ).read_text()
    (settings,) = (
        statement.value
        for statement in ast.parse(source).body
        if isinstance(statement, ast.Assign) and statement.targets[0].id == "SETTINGS"
    )
    values = {keyword.arg: ast.literal_eval(keyword.value) for keyword in settings.keywords}
    assert values["profiles"] == tuple(
        {"input": tuple((size, 3, 8, 8) for size in sizes)} for sizes in ((1, 2, 4), (5, 8, 16))
    )
    assert values["workspace"] == 2.5
    assert values["optimization_level"] == 4


def test_it_imports_nothing_but_the_library(bundle, tmp_path):
    tree = ast.parse((bundle(convolution(tmp_path), TENSORRT) / "build_engine.py").read_text())
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names


def test_files_and_memory_can_be_given(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    (folder / "end2end.onnx").rename(tmp_path / "other.onnx")
    done = run(
        folder, "--program", str(tmp_path / "other.onnx"), "--output", str(tmp_path / "x.engine"), "--workspace", "1"
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.engine").stat().st_size
    assert json.loads((tmp_path / "engine_details.json").read_text())["workspace"] == 1.0


def test_a_file_that_is_not_there_is_wrong_usage(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    (folder / "end2end.onnx").unlink()
    done = run(folder)
    assert done.returncode == 2
    assert "there is no file" in done.stderr


def test_what_the_library_refuses_is_said_and_nothing_is_written(bundle, tmp_path):
    folder = bundle(matrix_product(tmp_path), {**RTX, "compute_capabilities": ["SM75"]})
    done = run(folder)
    assert done.returncode == 1
    assert "cannot build end2end.onnx" in done.stderr
    assert "FP32 GEMM is not supported" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(folder.glob("*.engine*"))


def test_a_file_that_is_no_onnx_is_refused(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    (folder / "end2end.onnx").write_bytes(b"not a graph")
    done = run(folder)
    assert done.returncode == 1
    assert "cannot read end2end.onnx" in done.stderr


def test_measurements_are_kept_where_they_are_asked_for(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    done = run(folder, "--timing-cache", str(tmp_path / "kept" / "a.timing"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "kept" / "a.timing").stat().st_size


def test_where_the_library_is_not_installed_it_says_so(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    (tmp_path / "tensorrt.py").unlink()
    done = run(folder)
    assert done.returncode == 1
    assert "No module named 'tensorrt'" in done.stderr


def locked(folder: Path) -> Path:
    """Lock a bundle whose engine is still to be built; return the lock."""
    write_json(folder / LOCK_FILE, {"version": 2, "key": "abc", "files": file_digests(folder)})
    return folder / LOCK_FILE


def test_the_lock_of_the_bundle_knows_the_new_engine(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    before = json.loads(locked(folder).read_text())
    assert run(folder).returncode == 0
    after = json.loads((folder / LOCK_FILE).read_text())
    assert after.keys() == before.keys()
    assert after["key"] == "abc"
    assert after["files"] == file_digests(folder, exclude=(LOCK_FILE,))
    assert after["files"].keys() - before["files"].keys() == {"end2end.engine", "engine_details.json", "build.log"}
    require_unchanged(folder)


@pytest.mark.parametrize("content", ["[]", "{}", '{"files": []}', "[" * 100_000, "{"])
def test_a_broken_lock_is_told_and_left_alone(bundle, tmp_path, content):
    folder = bundle(convolution(tmp_path), TENSORRT)
    (folder / LOCK_FILE).write_text(content)
    done = run(folder)
    assert done.returncode == 0
    assert f"warning: {folder / LOCK_FILE} is broken, and knows nothing of the new engine" in done.stderr
    assert "Traceback" not in done.stderr
    assert (folder / LOCK_FILE).read_text() == content
    assert (folder / "end2end.engine").is_file()


def test_an_engine_that_is_written_elsewhere_is_none_of_the_bundles(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    before = locked(folder).read_text()
    (tmp_path / "elsewhere").mkdir()
    assert run(folder, "--output", str(tmp_path / "elsewhere/x.engine")).returncode == 0
    assert (folder / LOCK_FILE).read_text() == before
    assert not (tmp_path / "elsewhere" / LOCK_FILE).exists()


SHADOWS = ("__future__", "argparse", "json", "os", "pathlib", "sitecustomize", "tensorrt", "typing", "uuid")


def plant(folder: Path) -> None:
    """Write modules that leave a mark where they are executed, called like those that the script imports."""
    for name in SHADOWS:
        (folder / f"{name}.py").write_text("open(__file__ + '.EXECUTED', 'w').close()\n")


@pytest.mark.parametrize("isolation", [(), ("-S",), ("-I",)])
@pytest.mark.parametrize("inside", [False, True])
def test_what_lies_beside_it_is_no_module(bundle, tmp_path, isolation, inside):
    folder = bundle(convolution(tmp_path), TENSORRT)
    plant(folder)
    script = "build_engine.py" if inside else str(folder / "build_engine.py")
    done = subprocess.run(
        [sys.executable, *isolation, script, "--help"],
        cwd=folder if inside else tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert "--timing-cache" in done.stdout
    assert not list(folder.rglob("*.EXECUTED"))


def test_the_library_is_not_taken_from_beside_it_either(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    plant(folder)
    (tmp_path / "tensorrt.py").unlink()
    done = run(folder)
    assert "No module named 'tensorrt'" in done.stderr
    assert not list(folder.rglob("*.EXECUTED"))


def test_the_compiler_builds_with_its_own_script_whatever_lies_in_the_folder(tmp_path):
    program = convolution(tmp_path)
    asked = request(program, tmp_path / "engine")
    plant(asked.folder)
    (asked.folder / "build_engine.py").write_text("open(__file__ + '.EXECUTED', 'w').close()\n")
    assert build_backend(RTX).build(asked).size
    assert not list(tmp_path.rglob("*.EXECUTED"))


def test_what_it_writes_takes_the_place_of_a_link_and_leaves_what_that_leads_to(bundle, tmp_path):
    folder = bundle(convolution(tmp_path), TENSORRT)
    (tmp_path / "kept").write_text("kept")
    written = ("build.log", "end2end.engine", "engine_details.json")
    for name in written:
        (folder / name).symlink_to(tmp_path / "kept")
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "kept").read_text() == "kept"
    assert not any((folder / name).is_symlink() for name in written)
    assert not list(folder.glob(".*"))
