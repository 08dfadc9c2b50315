"""The verb `profile`: its tables, its files, and what it refuses."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from compiler.cli.profile import ITERATIONS, WARMUP, shapes_in
from compiler.errors import CompileError, UsageError
from compiler.profiling import profile
from tests.bundles import FIRST_LAYOUT
from tests.cli.running import run_verb
from tests.conftest import PHOTOGRAPH

POSE = str(FIRST_LAYOUT / "pose")
READER = str(FIRST_LAYOUT / "reader")


def table(text, heading):
    """The rows of the table that follows a heading, with their cells."""
    lines = text.split(heading, 1)[1].splitlines()[1:]
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif not line.startswith("+"):
            break
    return rows


def test_the_tables_are_those_of_mmdeploys_profilers(capsys, bundle, tmp_path):
    words = (str(bundle), str(PHOTOGRAPH), "batch=2", "iterations=4", "warmup=1", "threads=1")
    assert run_verb("profile", *words, f"out={tmp_path}/below/found.json", f"html={tmp_path}/found.html") == 0
    printed = capsys.readouterr()
    assert table(printed.out, "----- Settings:") == [
        ["batch size", "2"],
        ["shape", "256x192"],
        ["iterations", "4"],
        ["warmup", "1"],
        ["threads", "1"],
    ]
    heading, *results = table(printed.out, "----- Results:")
    assert heading == ["Stats", "Latency/ms", "FPS"]
    assert [name for name, *_ in results] == ["Mean", "Median", "Min", "Max", "p90", "p99"]
    heading, *steps = table(printed.out, "----- From file to result:")
    assert heading == ["name", "occupy", "usage", "n_call", "t_mean", "t_50%", "t_90%"]
    assert [row[0] for row in steps] == ["pipeline", "load", "preprocess", "warp", "normalise", "network", "decode"]
    assert [row[1] == "-" for row in steps] == [True, False, True, False, False, False, False]
    assert {row[3] for row in steps} == {"4"}
    layers = table(printed.out, "----- Layers, at 2x256x192:")
    assert layers[0] == ["layer", "operator", "ms", "share"]
    assert re.fullmatch(r"\d+ others", layers[-1][0])
    found = json.loads((tmp_path / "below/found.json").read_text())
    (timing,) = found["bundles"][0]["timings"]
    printed_mean, printed_fps = map(float, results[0][1:])
    assert timing["latency_ms"]["mean"] == pytest.approx(printed_mean, abs=1e-3)
    assert timing["fps"] == pytest.approx(printed_fps, abs=1e-3)
    assert "<svg" in (tmp_path / "found.html").read_text()


def test_several_bundles_take_turns_are_told_of_and_compared_with_the_first(capsys):
    assert run_verb("profile", POSE, READER, "iterations=2", "warmup=0") == 0
    printed = capsys.readouterr()
    line = r"\[{}\]-{} times per count: \d+\.\d\d ms, \d+\.\d\d FPS"
    pose, reader = "pose, onnxruntime, 1x256x192", "reader, onnxruntime, 1x32x100"
    told = [line.format(*turn) for turn in ((pose, 1), (reader, 1), (reader, 2), (pose, 2))]
    assert re.fullmatch("\n".join(told), printed.err.strip())
    heading, first, second = table(printed.out, "----- Compared, in turns:")
    assert heading == ["bundle", "input", "median/ms", "FPS", "ratio", "quartiles"]
    assert (first[0], first[1], first[4]) == ("pose", "1x256x192", "1")
    assert (second[0], second[1]) == ("reader", "1x32x100")
    lower, upper = map(float, second[5].split(" to "))
    assert lower <= float(second[4]) <= upper


def test_the_real_command_line_measures_without_torch(command_line):
    run = command_line("profile", POSE, "iterations=1", "warmup=0", "--debug", PYTHONPROFILEIMPORTTIME="1")
    assert run.returncode == 0, run.stderr
    assert "----- Results:" in run.stdout
    imported = {line.rsplit("|", 1)[-1].strip() for line in run.stderr.splitlines()}
    assert "compiler.profiling.measure" in imported
    assert not imported & {"torch", "hydra", "onnx", "onnxruntime", "jinja2"}


def test_the_help_has_the_numbers_that_python_has():
    defaults = {name: one.default for name, one in inspect.signature(profile).parameters.items()}
    assert (defaults["iterations"], defaults["warmup"]) == (ITERATIONS, WARMUP)


def test_shapes_are_written_as_deploy_names_write_them():
    assert shapes_in("256x192, 384x288") == [(256, 192), (384, 288)]
    assert shapes_in("2000") == [(2000,)]
    assert shapes_in("") == []


@pytest.mark.parametrize(
    ("words", "what", "where"),
    [
        (["shape=256x"], "'' is no value of shape", "shape="),
        (["shape=large"], "'large' is no value of shape", "shape=large"),
        (["batch=-1"], "'-1' is no value of batch", "batch=-1"),
        (["iterations=many"], "'many' is no value of iterations", "iterations=many"),
        (["iterations=0"], "iterations are from 1", "iterations=0"),
        (["warmup=1.5"], "'1.5' is no value of warmup", "warmup=1.5"),
        (["out=."], "there is a folder where the file would be", "out=."),
        (["out=found", "html=./found"], "two options name one file", "out=found"),
        (
            ["html=photograph.jpg", "photograph.jpg"],
            "the file that would be written is one that is read",
            "html=photograph.jpg",
        ),
        (["precision=fp16"], "profile takes no option 'precision'", "precision=fp16"),
    ],
)
def test_what_cannot_be_measured_is_refused_as_wrong_usage(words, what, where):
    with pytest.raises(UsageError, match=re.escape(what)) as caught:
        run_verb("profile", POSE, *words)
    assert caught.value.where == where


def test_a_bundle_that_is_not_proven_says_so_before_it_is_measured(capsys, monkeypatch):
    monkeypatch.setattr("compiler.cli.cautions._has_no_problem", lambda report: False)
    monkeypatch.setattr("compiler.report.Report.problem", "beyond its tolerance")
    with pytest.raises(UsageError, match="the engine takes no such batch") as caught:
        run_verb("profile", POSE, "batch=9")
    assert caught.value.where == "batch=9"
    assert capsys.readouterr().err == f"warning: {POSE} is not proven: beyond its tolerance\n"


def test_no_bundle_among_the_paths_is_refused(tmp_path):
    with pytest.raises(CompileError, match="is not a bundle") as caught:
        run_verb("profile", str(tmp_path), str(PHOTOGRAPH))
    assert caught.value.where == str(tmp_path)
    with pytest.raises(UsageError, match="profile takes one bundle or several"):
        run_verb("profile")


def test_a_file_that_cannot_be_written_is_found_before_anything_is_measured(tmp_path, capsys):
    (tmp_path / "file").touch()
    with pytest.raises(CompileError, match="there cannot be such a file"):
        run_verb("profile", POSE, f"out={tmp_path}/file/found.json")
    assert capsys.readouterr().err == ""
