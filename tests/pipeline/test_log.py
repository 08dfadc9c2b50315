"""The log of a run holds that run, and no other that goes on beside it."""

import logging
import shlex
import subprocess
import sys
import threading
import warnings

import pytest

from compiler.errors import CompileError
from compiler.events import Warned
from compiler.pipeline.log import LIBRARY_LOGGERS, LOGGER, logged


def lines(path) -> list[str]:
    """What is said, behind the command that the log begins with."""
    return [line.partition(": ")[2] for line in path.read_text().splitlines()][1:]


def test_events_and_the_warnings_of_libraries_are_written(tmp_path):
    heard = []
    with logged(tmp_path / "run.log", heard.append) as listen:
        listen(Warned("one"))
        logging.getLogger("torch").warning("two")
        warnings.warn("three", stacklevel=1)
    written = lines(tmp_path / "run.log")
    assert heard == [Warned("one")]
    assert written[:2] == ["one", "two"]
    assert any("three" in line for line in written[2:])


def test_two_runs_in_one_process_do_not_mix(tmp_path):
    both_run = threading.Barrier(2)

    def run(name: str) -> None:
        with logged(tmp_path / f"{name}.log", lambda event: None) as listen:
            both_run.wait(10)
            listen(Warned(f"event of {name}"))
            logging.getLogger("torch").warning("library in %s", name)
            both_run.wait(10)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("first", "second"):
        assert lines(tmp_path / f"{name}.log") == [f"event of {name}", f"library in {name}"]


def test_the_end_of_one_run_leaves_the_other_its_warnings(tmp_path):
    with logged(tmp_path / "outer.log", lambda event: None):
        with logged(tmp_path / "inner.log", lambda event: None):
            pass
        warnings.warn("after the inner one", stacklevel=1)
    assert "after the inner one" in (tmp_path / "outer.log").read_text()


def test_nothing_stays_behind(tmp_path):
    loggers = (LOGGER, *map(logging.getLogger, LIBRARY_LOGGERS))
    before = [list(logger.handlers) for logger in loggers]
    with pytest.raises(RuntimeError), logged(tmp_path / "run.log", lambda event: None):
        raise RuntimeError("it failed")
    assert [list(logger.handlers) for logger in loggers] == before
    assert "RuntimeError: it failed" in (tmp_path / "run.log").read_text(), "with its traceback"


def test_a_failure_is_written_whole_and_no_text_of_it_passes_for_another_record(tmp_path):
    error = CompileError("it broke", where="\x1b[2J\n2026-01-01 INFO compiler: proven", why="n" * 200_000)
    with pytest.raises(CompileError), logged(tmp_path / "run.log", list):
        raise error
    text = (tmp_path / "run.log").read_text()
    assert "n" * 200_000 in text
    assert "\x1b" not in text
    assert not any(line.startswith("2026-01-01 INFO") for line in text.splitlines())


NOISY_RUN = """
import logging, os, sys, warnings
from pathlib import Path
import onnx.parser, onnxruntime
from compiler.cli.streams import libraries_silenced, tell
from compiler.events import Judged, StageStarted
from compiler.export.tracing import exporting
from compiler.pipeline.log import logged

with libraries_silenced(), logged(Path(sys.argv[1]), lambda event: None) as listen:
    listen(StageStarted("export"))
    onnxruntime.set_default_logger_severity(0)
    text = '<ir_version: 8, opset_import: ["": 18]> g (float[1] x) => (float[1] y) { y = Relu (x) }'
    onnxruntime.InferenceSession(onnx.parser.parse_model(text).SerializeToString(), providers=["CPUExecutionProvider"])
    records = logging.getLogger("torch.onnx")
    records.propagate = False
    records.addHandler(logging.StreamHandler())
    with exporting("ONNX", "dynamo"):
        warnings.warn("a value was baked in")
        records.warning("a record of the exporter")
    records.warning("a record outside of it")
    logging.getLogger("onnxscript.optimizer").warning("Skipping constant folding for op Split")
    tell("warning: ours")
    listen(Judged("proven: everything"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the error stream is dropped there")
def test_what_libraries_write_goes_to_the_log_and_not_to_the_screen(tmp_path):
    command = [sys.executable, "-c", NOISY_RUN, str(tmp_path / "run.log")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "warning: ours\n")
    command_line, _, text = (tmp_path / "run.log").read_text().partition("compiler: export began\n")
    assert shlex.join(command[:2]) in command_line
    for said in (
        "a value was baked in",
        "a record of the exporter",
        "a record outside of it",
        "Skipping constant folding",
    ):
        assert text.count(said) == 1, said
    assert "onnxruntime" in text
    assert "\x1b" not in text
    assert text.splitlines()[-1].endswith("proven: everything")
