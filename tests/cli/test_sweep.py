"""Many configs in one run: one table, and no job stops the others."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from compiler import pipeline
from compiler.cli.sweep import Row, print_table, sweep
from compiler.errors import CompileError, Interrupted
from tests.onnx_files import Pyramid, export, images, seeded

ONNX = "model=onnx", "model.file=small.onnx,other.onnx", "shape=static,dynamic"


@pytest.fixture
def networks(tmp_path):
    """Two small networks, in the folder of the command line."""
    for name in ("small", "other"):
        export(tmp_path / f"{name}.onnx", seeded(Pyramid), {"x": images()}, "torchscript")


def saved(folder, suffix):
    """Return the text of the one table in a folder."""
    (file,) = folder.glob(f"outputs/multirun-*.{suffix}")
    return file.read_text()


@pytest.mark.usefixtures("networks", "trials_here")
def test_every_combination_is_compiled_and_saved_as_one_table(here):
    run = here("-m", "+backend=onnxruntime", *ONNX)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = json.loads(saved(here.folder, "json"))
    assert [(row["model"], row["name"].split("_", 3)[3], row["result"]) for row in rows] == [
        ("small", "static", "proven"),
        ("small", "dynamic", "proven"),
        ("other", "static", "proven"),
        ("other", "dynamic", "proven"),
    ]
    assert all(row["relative_error"] < 1e-4 and row["engine_bytes"] > 500 for row in rows)
    table = saved(here.folder, "md").splitlines()
    assert len(table) == 2 + 4
    assert all(row["name"] in line for row, line in zip(rows, table[2:], strict=True))
    assert "4 jobs" in run.stdout


@pytest.mark.usefixtures("networks")
def test_a_job_that_fails_does_not_stop_the_others(command_line):
    run = command_line("--multirun", "model=onnx,nosuch", "model.file=small.onnx", "arrays=null,missing.npz")
    assert run.returncode == 1
    rows = json.loads(saved(command_line.folder, "json"))
    assert [row["result"] for row in rows] == ["proven", "failed", "wrong usage", "wrong usage"]
    assert [row["exit_code"] for row in rows] == [0, 1, 2, 2]
    assert "does not exist" in rows[1]["problem"]
    assert rows[2]["problem"] == "there is no model 'nosuch'"
    assert rows[2]["name"] == ""
    assert "model=nosuch" in saved(command_line.folder, "md")


@pytest.mark.usefixtures("networks", "trials_here")
def test_a_job_that_is_not_proven_shows_in_the_exit_status(here):
    run = here("-m", "model=onnx", "model.file=small.onnx", "verify.tolerance=1e-4,1e-9")
    assert run.returncode == 3
    rows = json.loads(saved(here.folder, "json"))
    assert [row["result"] for row in rows] == ["proven", "not proven"]
    assert "beyond its tolerance" in rows[1]["problem"]


def test_a_long_reason_cuts_no_name_short(capsys):
    name = "object-detection_rtmdet-tiny_onnxruntime-int8_static_320x320"
    row = Row(
        (), "rtmdet-tiny", name, "not proven", 3, 12.3, 1 << 20, 0.01, "peak", "2 px", "its boxes are beyond, " * 20
    )
    print_table(Console(width=160), [row])
    table = capsys.readouterr().out
    assert all(f" {cell} " in table for cell in (name, "12.3 s", "1.0 MiB", "1.0e-02 peak"))
    assert f"  not proven {name}: its boxes are beyond" in table


def test_an_output_that_cannot_be_written_is_told_once_for_each_job_and_for_the_table(here):
    (here.folder / "file").write_text("not a folder")
    run = here("-m", "model=rtmpose-t,rtmpose-s", "output=file/below")
    assert run.returncode == 1
    assert run.stdout.count("error: the output cannot be written") == 2
    assert run.stderr.startswith("error: the output cannot be written")
    assert "2 jobs" in run.stdout
    assert "defect" not in run.stdout + run.stderr


def test_an_interruption_stops_the_sweep_even_where_a_library_hides_it(monkeypatch, tmp_path):
    compiled = []

    def interrupted(config, listen):
        compiled.append(config.model.name)
        try:
            raise Interrupted
        finally:
            raise ValueError("a library was left half way")

    monkeypatch.setattr(pipeline, "compile_bundle", interrupted)
    with pytest.raises(Interrupted):
        sweep(["model=rtmpose-t,rtmpose-s", f"output={tmp_path}"])
    assert compiled == ["rtmpose-t"]
    assert not list(tmp_path.glob("multirun*")), "it leaves the table of a sweep that ended alone"


@pytest.fixture
def configs(monkeypatch):
    """Those that reach the pipeline, which is stopped there."""
    reached = []

    def stop(config, listen):
        reached.append(config)
        raise CompileError("far enough")

    monkeypatch.setattr(pipeline, "compile_bundle", stop)
    return reached


def test_jobs_and_sweeps_write_over_nothing_of_each_other(configs, tmp_path):
    sweep(["model=rtmpose-t", "checkpoint=a.pth,b.pth", f"output={tmp_path}"])
    sweep(["model=rtmpose-t", "batch.largest=4,8,16", f"output={tmp_path}"])
    assert len({config.bundle for config in configs}) == 5
    assert len(list(tmp_path.glob("multirun-*.md"))) == 2


def test_the_numbers_of_a_box_are_no_choices(configs, tmp_path):
    sweep(["model=rtmpose-t", "image=a.jpg,b.jpg", "box=10,20,300,400", f"output={tmp_path}"])
    assert [(config.input, list(config.box)) for config in configs] == [
        ("a.jpg", [10, 20, 300, 400]),
        ("b.jpg", [10, 20, 300, 400]),
    ]


def test_two_jobs_of_one_bundle_are_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(pipeline, "compile_bundle", lambda config, listen: (_ for _ in ()).throw(CompileError("made")))
    sweep(["model=rtmpose,rtmpose-m", f"output={tmp_path}"])
    rows = json.loads(next(tmp_path.glob("multirun-*.json")).read_text())
    assert [row["problem"] for row in rows] == ["made", "another job of this sweep has written the same bundle"]
