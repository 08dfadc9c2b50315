"""From an image to a result: ours and MMDeploy's SDK on the same bundle, what lies beside the network, and streams.

Both use one thread, and processor time is counted: other work on the machine then changes little. The SDK has no option
for that; ONNX Runtime, which is in it, reads one from the model's own file where an environment variable lets it.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import cv2
import onnx
from rich.console import Console
from rich.table import Table

from compiler import runtime
from compiler.artifact.machine import usable_processors
from compiler.spans import SpanRecord
from tests.benchmarks.measure import WARM_UP, seconds_of, timed_compile
from tests.conftest import PHOTOGRAPH, CommandLine
from tests.environments import make_environment

ROUNDS = 20
TURNS = 3
STREAMED = 40
STEPS = ("load", "preprocess", "network", "decode")
SDK = ("mmdeploy-runtime==1.3.1", "numpy<2", "opencv-python-headless<4.12")
ONE_THREAD = {"session_options": {"intra_op_num_threads": 1, "inter_op_num_threads": 1}}
ENVIRONMENT = {"ORT_LOAD_CONFIG_FROM_MODEL": "1", "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
SDK_SCRIPT = """
import json, sys, time
import cv2, mmdeploy_runtime
name, bundle, image, boxes, rounds = json.loads(sys.argv[1])
run, image, times = getattr(mmdeploy_runtime, name)(bundle, "cpu", 0), cv2.imread(image), []
for _ in range(rounds):
    start = time.process_time()
    run(image, boxes) if boxes else run(image)
    times.append(time.process_time() - start)
print(json.dumps(times))
"""


@dataclass(frozen=True)
class Subject:
    """What is run on one model.

    Attributes:
        overrides: Of its compile.
        image: What it looks at.
        sdk: The SDK's class for it; empty where that has none for this engine.
        box: Where it looks.
    """

    overrides: tuple[str, ...]
    image: Path
    sdk: str = ""
    box: tuple[int, int, int, int] | None = None


_PHOTOGRAPHS = PHOTOGRAPH.parent
_PERSON = (100, 50, 400, 580)
SUBJECTS: Mapping[str, Subject] = {
    "rtmpose-m": Subject(("model=rtmpose-m",), PHOTOGRAPH, "PoseDetector", _PERSON),
    "hrnet-w32": Subject(("model=hrnet-w32", "shape=static"), PHOTOGRAPH, "PoseDetector", _PERSON),
    "rtmdet-tiny": Subject(("model=rtmdet-tiny", "shape=static"), _PHOTOGRAPHS / "coffee.jpg", "Detector"),
    "dbnet-r18": Subject(("model=dbnet-r18", "shape=static_640x640"), _PHOTOGRAPHS / "page.png", "TextDetector"),
    "crnn": Subject(("model=crnn", "shape=static_32x100"), _PHOTOGRAPHS / "word.png", "TextRecognizer"),
}


def print_runtime_tables(console: Console) -> None:
    """Compile each model, and print what its bundle takes from an image to a result."""
    with tempfile.TemporaryDirectory() as folder:
        command_line = CommandLine(Path(folder))
        bundles = {name: timed_compile(command_line, *one.overrides).bundle for name, one in SUBJECTS.items()}
        console.print(sdk_table(bundles, Path(folder) / "sdk"), "")
        console.print(steps_table(bundles), "")
        console.print(streams_table(bundles), "")


def sdk_table(bundles: Mapping[str, Path], folder: Path) -> Table:
    """Time ours and MMDeploy's SDK on the same bundles, in turns."""
    python = make_environment(folder / "environment", *SDK)
    title = f"from an image to a result, one thread, processor ms: median (least) of {TURNS} turns of {ROUNDS}"
    table = Table("model", title=title, title_justify="left")
    for header in ("compiler.runtime", "mmdeploy-runtime 1.3.1", "ratio of medians", "of least"):
        table.add_column(header, justify="right")
    for name, bundle in bundles.items():
        subject, copied = SUBJECTS[name], with_one_thread(bundle, folder / name)
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(TURNS):
            ours.extend(_ours(subject, bundle))
            theirs.extend(_theirs(python, subject, copied))
        ratios = (f"{of(ours) / of(theirs):.2f}" for of in (statistics.median, min))
        table.add_row(name, _shown(ours), _shown(theirs), *ratios)
    return table


def with_one_thread(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle whose model tells ONNX Runtime to use one thread, where the environment lets it."""
    copied = Path(shutil.copytree(bundle, folder))
    model = onnx.load(copied / "end2end.onnx")
    model.metadata_props.add(key="ort_config", value=json.dumps(ONE_THREAD))
    onnx.save(model, copied / "end2end.onnx")
    return copied


def steps_table(bundles: Mapping[str, Path]) -> Table:
    """Time the steps of a prediction of a file, and tell them as shares of the network."""
    title = f"the steps of a file's prediction, one thread, processor ms, medians of {TURNS * ROUNDS}"
    table = Table("model", title=title, title_justify="left")
    for header in (*STEPS, "preprocess and decode, of the network"):
        table.add_column(header, justify="right")
    for name, bundle in bundles.items():
        predictor, subject = runtime.open(bundle, threads=1), SUBJECTS[name]
        times: dict[str, list[float]] = {step: [] for step in STEPS}
        for _ in range(WARM_UP + TURNS * ROUNDS):
            with SpanRecord(time.process_time) as record:
                predictor(subject.image, subject.box)
            for step in STEPS:
                times[step].append(sum(record.seconds[step,]) * 1000)
        load, before, network, after = (statistics.median(times[step][WARM_UP:]) for step in STEPS)
        share = (before + after) / network
        table.add_row(name, *(f"{one:.2f}" for one in (load, before, network, after)), f"{share:.1%}")
    return table


def streams_table(bundles: Mapping[str, Path]) -> Table:
    """Time a stream of images, by as many streams as there are processors and by one with all of them, in turns."""
    several = max(2, usable_processors())
    title = f"images a second, {STREAMED} images, all {usable_processors()} processors: median (most) of {TURNS} turns"
    table = Table("model", title=title, title_justify="left")
    for header in ("streams=1", f"streams={several}", "ratio"):
        table.add_column(header, justify="right")
    for name, bundle in bundles.items():
        rates: dict[int, list[float]] = {1: [], several: []}
        for streams, found in chain.from_iterable(repeat(tuple(rates.items()), TURNS)):
            found.append(_rate(SUBJECTS[name], bundle, streams))
        shown = (f"{statistics.median(found):.1f} ({max(found):.1f})" for found in rates.values())
        ratio = statistics.median(rates[several]) / statistics.median(rates[1])
        table.add_row(name, *shown, f"{ratio:.2f}")
    return table


def _rate(subject: Subject, bundle: Path, streams: int) -> float:
    """Images a second. A session is closed before the next is opened, whose threads would wait beside it."""
    predictor = runtime.open(bundle, threads=usable_processors(), streams=streams)
    image = cv2.imread(str(subject.image))
    given = [image] * STREAMED, [subject.box] * STREAMED
    list(predictor.stream([image] * streams * WARM_UP, [subject.box] * streams * WARM_UP))
    start = time.perf_counter()
    list(predictor.stream(*given))
    return STREAMED / (time.perf_counter() - start)


def _ours(subject: Subject, bundle: Path) -> list[float]:
    predictor, image = runtime.open(bundle, threads=1), cv2.imread(str(subject.image))
    clock, rounds = time.process_time, range(WARM_UP + ROUNDS)
    return [seconds_of(lambda: predictor(image, subject.box), clock) for _ in rounds][WARM_UP:]


def _theirs(python: Path, subject: Subject, bundle: Path) -> list[float]:
    boxes = [subject.box] if subject.box else None
    given = json.dumps([subject.sdk, str(bundle), str(subject.image), boxes, WARM_UP + ROUNDS])
    command = [python, "-c", SDK_SCRIPT, given]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **ENVIRONMENT})
    times: list[float] = json.loads(done.stdout.splitlines()[-1])
    return times[WARM_UP:]


def _shown(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.2f} ({min(seconds) * 1000:.2f})"
