"""The command line: what it shows, and how it ends when something is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import onnx_files
from tests.bundles import small_bundle
from tests.conftest import PHOTOGRAPH
from tests.small_network import small_network

TINY = "model=rtmpose-t"


def test_version_is_that_of_the_distribution(command_line):
    run = command_line("--version")
    assert (run.returncode, run.stdout) == (0, f"deploy-compiler {version('deploy-compiler')}\n")


WRONG_USAGE = {
    "unknown backend": (["backend=onnxruntme"], "there is no backend 'onnxruntme'", "did you mean onnxruntime?"),
    "unknown model": (["+model=rtmpos"], "there is no model 'rtmpos'", "did you mean rtmpose"),
    "unknown key": (["chekpoint=a.pth"], "there is no key 'chekpoint'", "did you mean checkpoint"),
    "unknown key of a group": (["backend.thread=2"], "there is no key 'backend.thread'", "backend.threads"),
    "wrong type": (["batch.largest=many"], "'batch.largest' must be a whole number", "many"),
    "wrong type in a backend": (["backend.threads=two"], "'backend.threads' must be a whole number", "two"),
    "wrong type in a task": (["model.processing.padding=big"], "must be a number", "model.processing.padding"),
    "impossible precision": (["precision=bf16"], "onnxruntime cannot be built in bf16", "use precision=fp32"),
    "calibration of fp16": (["precision=fp16", "calibration.limit=9"], "fp16 needs no calibration", "precision=int8"),
    "fp32 kept in fp32": (["keep_fp32=[Gemm]"], "everything is in fp32 already", "or choose precision=fp16"),
    "impossible shape": (["shape=static_320x320"], "rtmpose takes only 256x192", "shape=static_256x192"),
    "impossible opset": (["export.opset=11"], "cannot write opset 11", "export.exporter=torchscript"),
    "impossible batch": (["batch.smallest=9"], "not in order", "batch.smallest=1"),
    "not a deploy name": (["+deploy=pose_rtmpose"], "'pose_rtmpose' is not a deploy name", "<task>_<algo>_<backend>"),
    "a box of three numbers": (["box=1,2,3"], "3 numbers are no box", "give box=x1,y1,x2,y2"),
    "a sweep without -m": (["model=rtmpose,rtmpose-s"], "holds several choices", "add -m"),
    "no such config folder": (["--config-dir", "nowhere"], "the config folder nowhere does not exist", "--config-dir"),
    "unknown rewriter": (["rewriters.disable=[nearest]"], "there is no rewriter 'nearest'", "nearest_to_bilinear"),
}


def alone_and_here(cases, alone):
    """Each case as it goes through `main`, and a few of them as a process of their own, too."""
    ways = [(case, "here") for case in cases] + [(case, "command_line") for case in alone]
    return pytest.mark.parametrize(("case", "way"), ways)


@alone_and_here(WRONG_USAGE, alone=["unknown backend"])
def test_wrong_usage_exits_with_2_before_anything_is_built(request, tmp_path, case, way):
    arguments, what, advice = WRONG_USAGE[case]
    run = request.getfixturevalue(way)(*arguments)
    assert run.returncode == 2, run.stdout + run.stderr
    assert run.stderr.startswith("error: ")
    assert what in run.stderr
    assert advice in run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not list(tmp_path.rglob("*.onnx"))


def test_most_wrong_usage_is_found_before_torch_is_imported(command_line):
    run = command_line("precision=bf16", "--debug", PYTHONPROFILEIMPORTTIME="1")
    assert run.returncode == 2
    assert "| torch\n" not in run.stderr.replace("|  ", "| ")
    assert not any(line.rsplit("|", 1)[-1].strip() == "torch" for line in run.stderr.splitlines())


class _RunsCode:
    def __reduce__(self):
        return os.system, ("touch code_was_run",)


def _missing(folder: Path) -> list[str]:
    return ["checkpoint=missing.pth"]


def _truncated(folder: Path) -> list[str]:
    torch.save({"state_dict": {"a": torch.zeros(1000)}}, folder / "truncated.pth")
    content = (folder / "truncated.pth").read_bytes()
    (folder / "truncated.pth").write_bytes(content[: len(content) // 2])
    return ["checkpoint=truncated.pth"]


def _foreign(folder: Path) -> list[str]:
    torch.save({"epoch": 3, "note": "no weights"}, folder / "foreign.pth")
    return ["checkpoint=foreign.pth"]


def _runs_code(folder: Path) -> list[str]:
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": _RunsCode()}, folder / "hostile.pth")
    return ["checkpoint=hostile.pth"]


def _of_another_model(folder: Path) -> list[str]:
    from compiler import build_network

    torch.save({"state_dict": build_network("rtmpose-s").state_dict()}, folder / "other.pth")
    return ["checkpoint=other.pth"]


def _undecodable_image(folder: Path) -> list[str]:
    (folder / "broken.jpg").write_bytes(PHOTOGRAPH.read_bytes()[:100])
    return ["image=broken.jpg"]


def _below_a_file(folder: Path) -> list[str]:
    (folder / "file").write_text("not a folder")
    return ["output=file/below"]


FAILURES = {
    "missing checkpoint": (_missing, ["the checkpoint missing.pth does not exist", "checkpoint=official"]),
    "truncated checkpoint": (_truncated, ["truncated.pth cannot be read", "SHA-256"]),
    "foreign checkpoint": (_foreign, ["holds no weights", "epoch, note"]),
    "a pickle that would run code": (_runs_code, ["holds more than weights", "nothing was run"]),
    "weights of another model": (
        _of_another_model,
        ["does not fit the network", "keys of another shape", "model=rtmpose-s"],
    ),
    "missing image": (lambda folder: ["image=missing.jpg"], ["image does not exist", "missing.jpg"]),
    "undecodable image": (_undecodable_image, ["image cannot be decoded", "broken.jpg"]),
    "box outside the image": (lambda folder: ["box=900,900,950,990"], ["lies outside the image", "512 wide"]),
    "box upside down": (lambda folder: ["box=90,90,50,50"], ["has no area", "x1 < x2"]),
    "output below a file": (_below_a_file, ["the output cannot be written", "output=<folder>"]),
    "no published checkpoint": (
        lambda folder: ["checkpoint=official", "model.official.url=''"],
        ["no published checkpoint", "checkpoint=<path>"],
    ),
}


@alone_and_here(FAILURES, alone=["a pickle that would run code"])
def test_a_failure_exits_with_1_and_says_what_to_do(request, tmp_path, case, way):
    prepare, expected = FAILURES[case]
    run = request.getfixturevalue(way)(TINY, *prepare(tmp_path))
    assert run.returncode == 1, run.stdout + run.stderr
    assert run.stderr.startswith("error: ")
    assert all(text in run.stderr for text in expected), run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert not (tmp_path / "code_was_run").exists()
    assert not list(tmp_path.rglob("lock.json"))


def test_debug_shows_the_traceback(here):
    run = here(TINY, "checkpoint=missing.pth", "--debug")
    assert run.returncode == 1
    assert "Traceback" in run.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB, less than a compile of the smallest network needs."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_told_and_loses_nothing(here, trials_here, small_disk):
    large = np.ones((3, 1 << 16), np.float32)
    content = onnx_files.model(
        [("MatMul", ["x", "large"], ["y"])],
        [onnx_files.value("x")],
        [onnx_files.value("y", ("n", 1 << 16))],
        onnx_files.weights(large=large),
    )
    onnx_files.save(here.folder / "large.onnx", content)
    run = here("model=onnx", "model.file=large.onnx", f"output={small_disk}")
    assert run.returncode == 1, run.stdout
    assert "the output cannot be written" in run.stderr
    assert "No space left on device" in run.stderr
    assert "free some space" in run.stderr
    assert not list(small_disk.rglob("*.partial"))


@pytest.fixture
def small(command_line):
    """What compiles a network of three layers in the command line's folder."""
    with small_network(command_line.folder, "three_layers") as overrides:
        yield overrides


def wait_for_the_export(process, folder):
    deadline = time.monotonic() + 120
    while not list(folder.glob("outputs/.cache/export*.partial")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_in_order(command_line, small, sent):
    process = command_line.start(*small)
    wait_for_the_export(process, command_line.folder)
    process.send_signal(sent)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted: an older bundle is untouched" in printed
    assert "Traceback" not in printed
    assert not list(command_line.folder.glob("outputs/.cache/*.partial"))


HIDING = """
import os, signal, sys
from dataclasses import replace
from compiler import __main__
from compiler.cli.verbs import VERBS

def run(given):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        raise ValueError("a library was left half way")

VERBS["doctor"] = replace(VERBS["doctor"], run=run)
sys.exit(__main__.main(["doctor"]))
"""


def test_an_interruption_that_a_library_hides_is_one_all_the_same():
    run = subprocess.run([sys.executable, "-c", HIDING], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("interrupted: an older bundle is untouched")


def test_two_runs_at_once_wait_for_each_other_and_both_succeed(command_line, small):
    first = command_line.start(*small)
    wait_for_the_export(first, command_line.folder)
    first.send_signal(signal.SIGSTOP)  # while it holds the bundle
    second = command_line.start(*small)
    begun = ""
    while "waiting" not in begun:
        begun += second.stdout.readline()
        assert second.poll() is None, begun
    first.send_signal(signal.SIGCONT)
    printed = [first.communicate(timeout=300)[0], begun + second.stdout.read()]
    assert [first.wait(), second.wait()] == [0, 0], printed
    assert ["waiting" in text for text in printed] == [False, True]
    assert ["up to date" in text for text in printed] == [False, True]
    lock = json.loads(next(command_line.folder.glob("outputs/*/lock.json")).read_text())
    assert lock["name"].startswith("tensors_three-layers-build_onnxruntime_static+v")


def test_a_reader_that_has_seen_enough_is_no_error(command_line):
    bundle = small_bundle(command_line.folder / "bundle", "pose")
    script = f"{sys.executable} -m compiler predict {bundle} {PHOTOGRAPH} | head -1"
    run = subprocess.run(["bash", "-c", script], cwd=command_line.folder, capture_output=True, text=True, check=False)
    assert run.stdout == "[\n"
    assert run.stderr == ""
