"""What a compile of RTMPose-m and a prediction with it cost, in detail."""

from __future__ import annotations

import resource
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from rich.markup import escape
from rich.table import Table

from compiler import runtime
from compiler.tasks import Sample
from tests.benchmarks.measure import median_and_fastest, seconds_of, timed_compile
from tests.benchmarks.mmdeploy import MMDEPLOY
from tests.conftest import NAME, PHOTOGRAPH, CommandLine

OVERRIDES = ("+backend=onnxruntime", "+model=rtmpose")
"""The README's first command."""
COLD_COMPILES = 5
ROUNDS = 60
TURNS = 3
BOX = (100, 50, 400, 580)


def compile_table(command_line: CommandLine) -> Table:
    """Time cold compiles, by stage; the same with every stage cached; and the same once more."""
    outputs = command_line.folder / "outputs"
    cold = []
    for _ in range(COLD_COMPILES):
        shutil.rmtree(outputs, ignore_errors=True)
        cold.append(timed_compile(command_line, *OVERRIDES))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    (outputs / "rtmpose" / NAME / "lock.json").unlink()
    cached = timed_compile(command_line, *OVERRIDES)
    again = timed_compile(command_line, *OVERRIDES)
    title = f"compile RTMPose-m, dynamic batch: median (fastest) of {COLD_COMPILES} cold runs"
    table = Table("stage", "seconds", "what came out", title=title, title_justify="left")
    for stages in zip(*(compiled.report.stages for compiled in cold), strict=True):
        table.add_row(
            stages[0].stage, median_and_fastest([stage.seconds for stage in stages]), escape(stages[0].detail)
        )
    table.add_section()
    whole = [compiled.seconds for compiled in cold]
    theirs = MMDEPLOY["rtmpose-m"]
    ratio = theirs.seconds / statistics.median(whole)
    note = f"MMDeploy 1.3.1: {theirs.seconds} s and {theirs.nodes} nodes, {ratio:.1f} times as long"
    table.add_row("whole command, cold", median_and_fastest(whole), note)
    table.add_row("every stage cached", f"{cached.seconds:.2f}", "the bundle written again from the cache")
    table.add_row("up to date", f"{again.seconds:.2f}", "nothing done")
    table.add_row("peak memory", f"{peak:.0f} MiB", "of the largest process")
    return table


def start_table(command_line: CommandLine) -> Table:
    """Time what a user waits for before anything happens."""
    table = Table("command", "median s", "of", title="start-up", title_justify="left")
    for arguments in (["--help"], ["--cfg", "job"], ["precision=int8"]):
        times = [seconds_of(lambda arguments=arguments: command_line(*arguments)) for _ in range(5)]
        table.add_row(f"python -m compiler {' '.join(arguments)}", f"{statistics.median(times):.2f}", "5 runs")
    return table


def runtime_table(bundle: Path) -> Table:
    """Time a prediction by its parts, and a bare ONNX Runtime loop over the same array, in turns.

    Only one session is open at a time: the waiting threads of a second one would slow both down.
    """
    image, boxes = cv2.imread(str(PHOTOGRAPH)), np.array([BOX], np.float32)
    times: dict[str, list[float]] = {}

    def measure(name: str, run: Callable[[], object]) -> None:
        times.setdefault(name, []).extend(seconds_of(run) for _ in range(ROUNDS // TURNS))

    for _ in range(TURNS):
        predictor = runtime.open(bundle)
        prepared = predictor.task.preprocess(Sample(image, boxes))
        tensors = dict(prepared.tensors)
        outputs = predictor.run(tensors)
        measure("predictor, whole", lambda p=predictor: p(image, BOX))
        measure("  preprocess", lambda p=predictor: p.task.preprocess(Sample(image, boxes)))
        measure("  engine", lambda p=predictor, t=tensors: p.run(t))
        measure("  decode", lambda p=predictor, o=outputs, t=prepared: p.task.decode(o, t))
        del predictor
        bare = onnxruntime.InferenceSession(bundle / "end2end.onnx", providers=["CPUExecutionProvider"])
        measure("bare ONNX Runtime", lambda s=bare, t=tensors: s.run(None, t))
        del bare
    base = statistics.median(times["bare ONNX Runtime"])
    table = Table("what", "median ms", "of bare", title=f"one image, one box, {ROUNDS} runs", title_justify="left")
    for name, seconds in times.items():
        median = statistics.median(seconds)
        table.add_row(name, f"{median * 1000:.2f}", f"{median / base:.2f}")
    return table
