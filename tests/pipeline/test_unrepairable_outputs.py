"""Outputs and caches that may only be read are used, and whatever stands in the place of a bundle is replaced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from compiler.artifact import LOCK_FILE, file_digests, recover_folder, retired, write_json
from compiler.artifact.lock import require_unchanged
from compiler.config import compose
from compiler.errors import CompileError
from compiler.pipeline import compile_bundle
from tests.onnx_files import doubling, save
from tests.unprivileged import read_only, run_unprivileged

NAME = "tensors_x_onnxruntime_dynamic"

COMPILE = """
import os, sys
from pathlib import Path
from compiler.config import compose
from compiler.errors import CompileError
from compiler.pipeline import compile_bundle

def run(*overrides):
    try:
        outcome = compile_bundle(compose(["model=onnx", "model.file=x.onnx", *overrides]))
        print("up to date" if outcome.up_to_date else "made", outcome.problem)
    except CompileError as error:
        print("refused:", error.what, error.where, error.why)

os.chdir(sys.argv[1])
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an ONNX file, in which the tests run."""
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "x.onnx", doubling())
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The outputs of one compile, its cache in them. Not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    save(folder / "x.onnx", doubling())
    compiled(folder)
    return folder / "outputs"


def compiled(folder, *overrides):
    file, output = folder / "x.onnx", folder / "outputs"
    return compile_bundle(compose(["model=onnx", f"model.file={file}", f"output={output}", *overrides]))


@pytest.fixture
def bundle(folder, made) -> Path:
    """A bundle that is up to date, with a cache that has all of its stages."""
    shutil.copytree(made, folder / "outputs")
    return folder / "outputs" / NAME


def test_what_may_only_be_read_is_up_to_date_is_a_cache_and_is_replaced(folder, bundle):
    code = f"""{COMPILE}
run()                                                 # all may only be read; a bundle of another name is not there
run("verify.reduced_cosine=0.98")
run("output=other", "cache=outputs/.cache")
Path("outputs").chmod(0o755)                          # the bundle itself may still only be read
for path in Path("outputs").iterdir():
    path.chmod(0o644 if path.is_file() else 0o555)
engine = Path("outputs/{NAME}/end2end.onnx")
engine.chmod(0o644)
engine.write_bytes(b"damaged")
engine.chmod(0o444)
run("cache=outputs/.cache")
run("cache=outputs/.cache")
run("shape=static", "cache=outputs/.cache")           # what is not in the cache cannot be put into it
"""
    read_only(folder / "outputs")
    run = run_unprivileged(code, folder)
    lines = [line.strip() for line in run.stdout.splitlines()]
    assert run.returncode == 0, run.stderr
    assert lines[0] == "up to date"
    assert lines[1].startswith("refused: the output cannot be written")
    assert "Permission denied" in lines[1]
    assert lines[2] == "made"
    assert lines[3:5] == ["made", "up to date"]
    assert lines[5].startswith("refused: the output cannot be written")
    assert "outputs/.cache" in lines[5]
    assert sorted(path.name for path in bundle.parent.iterdir() if path.suffix == ".partial") == []
    require_unchanged(bundle)
    require_unchanged(folder / "other" / NAME)


def stale(kind, path):
    """Lay something where a folder is expected."""
    if kind == "file":
        path.write_text("a file")
    elif kind == "link":
        path.symlink_to("kept")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    else:
        (path / "deep").mkdir(parents=True)
        read_only(path)


@pytest.mark.parametrize("kind", ["file", "link", "dangling link", "folder"])
def test_whatever_stands_in_the_place_of_a_bundle_or_beside_it_is_replaced(folder, bundle, kind):
    (bundle.parent / "kept").mkdir()
    (bundle.parent / "kept/file").write_text("kept")
    shutil.rmtree(bundle)
    for path in (bundle, bundle.with_name(f".{bundle.name}.partial"), retired(bundle)):
        stale(kind, path)
    assert not compiled(folder).up_to_date
    assert not bundle.is_symlink()
    require_unchanged(bundle)
    assert (bundle.parent / "kept/file").read_text() == "kept"
    assert compiled(folder).up_to_date


BROKEN = {
    "list": "[]",
    "number": "3",
    "null": "null",
    "deep": "[" * 100_000,
    "half": "{",
    "shapes": '{"key": [], "files": 3}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_bundle_with_a_broken_lock_is_made_again(folder, bundle, content):
    (bundle / LOCK_FILE).write_text(content)
    assert not compiled(folder).up_to_date
    require_unchanged(bundle)


def test_a_bundle_with_a_report_that_cannot_be_read_is_made_again(folder, bundle):
    (bundle / "report.json").write_text("[]")
    lock = json.loads((bundle / LOCK_FILE).read_text())
    write_json(bundle / LOCK_FILE, {**lock, "files": file_digests(bundle, exclude=(LOCK_FILE,))})
    assert not compiled(folder).up_to_date
    assert compiled(folder).up_to_date


def test_a_bundle_with_a_link_out_of_it_is_not_up_to_date(folder, bundle):
    (bundle / "end2end.onnx").rename(folder / "outside.onnx")
    (bundle / "end2end.onnx").symlink_to(folder / "outside.onnx")
    assert not compiled(folder).up_to_date
    assert not (bundle / "end2end.onnx").is_symlink()
    assert (folder / "outside.onnx").is_file()


def test_an_old_bundle_is_brought_back_before_it_is_asked_whether_it_is_up_to_date(folder, bundle):
    bundle.rename(retired(bundle))
    assert compiled(folder).up_to_date
    recover_folder(bundle)
    require_unchanged(bundle)


def test_an_output_below_a_file_is_one_message(folder):
    (folder / "outputs").write_text("a file")
    with pytest.raises(CompileError, match="the output cannot be written") as caught:
        compiled(folder)
    assert caught.value.why == "File exists"
    assert "cache=<folder>" in caught.value.fix
