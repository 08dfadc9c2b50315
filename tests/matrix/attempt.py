"""One cell, compiled and timed, in a process of its own, which a library may crash.

python -m tests.matrix.attempt <GiB of address space> <output> <cache> <reference or ''> <answer> <override ...>
"""

from __future__ import annotations

import json
import math
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from compiler import pipeline
from compiler.artifact import Engine, Tensors, installed_version
from compiler.artifact.machine import this_machine
from compiler.backends import Session, backend_of, build_backend, with_threads
from compiler.config import CompileConfig, compose
from compiler.errors import as_compile_error
from compiler.proof import first_failure, proof_of
from compiler.report import Report
from compiler.runtime import read_config, task_of
from tests.matrix.results import BUILT, NONE, NOT_PROVEN, PROVEN, Attempt

GIB = 2**30
WARM_UP, ROUNDS = 2, 7
LIBRARIES = {
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino", "nncf"),
    "torchscript": (),
    "aotinductor": (),
    "ncnn": ("ncnn", "pnnx"),
    "coreml": ("coremltools",),
    "rknn": (),
    "tensorrt": ("tensorrt",),
    "tensorrt_rtx": ("tensorrt-rtx",),
}
"""What each backend is made of, beside torch and ONNX Runtime; an environment of its own says its version itself."""


def attempt(overrides: Sequence[str], output: Path, cache: Path) -> tuple[Attempt, Path | None]:
    """Compile a cell; what came out, and the bundle where there is an engine in it that runs here.

    Args:
        overrides: Of the cell.
        output: Where its bundle goes.
        cache: Of finished stages, that all cells share.
    """
    machine = this_machine("onnxruntime")["processor"]
    try:
        config = compose([*overrides, f"output={output}", f"cache={cache}", "cache_limit=10"])
        outcome = pipeline.compile_bundle(config)
    except Exception as error:  # whatever goes wrong with one cell is what the matrix is for
        told = as_compile_error(error)
        reason = ": ".join(filter(None, (told.what, told.why.partition("\n")[0])))
        return Attempt(NONE, reason=plain(reason, output), machine=machine), None
    report = Report.load(outcome.bundle)
    found = replace(judged(report, output), machine=machine, versions=_versions(config))
    return found, None if report.unproven else outcome.bundle


def judged(report: Report, output: Path) -> Attempt:
    """What a report says of its engine."""
    proof = report.proofs[-1]
    found = Attempt(
        outcome=PROVEN,
        error=_finite(proof.worst.relative_error),
        yardstick=proof.worst.yardstick,
        decoded=_finite(proof.worst_decoded),
        unit=report.unit,
        stage=proof.stage,
    )
    if not report.problem:
        return found
    is_wrong = first_failure(report.proofs) is not None or any(entry.holds is False for entry in report.ledger)
    if is_wrong:
        return replace(found, outcome=NOT_PROVEN, reason=plain(report.problem, output))
    outcome = NONE if report.engine_bytes is None else BUILT
    return replace(found, outcome=outcome, reason=plain(report.unproven, output))


def plain(reason: str, output: Path) -> str:
    """A reason in a line, without the folders of this run and what to do about it there."""
    line = " ".join(reason.replace(str(output.resolve()), "").replace(str(output), "").split())
    return line.partition(". On the machine that is to run it")[0]


def milliseconds(bundle: Path, reference: Path) -> tuple[float, float]:
    """What an engine and another take of a processor for one input of the usual size: in turns, the fastest run each.

    Both run on one thread: while a machine does something else, neither's time goes on.
    """
    tensors = sample(bundle)
    runs: list[Callable[[], object]] = [_run(folder, tensors) for folder in (bundle, reference)]
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(WARM_UP + ROUNDS):
        for run, seconds in zip(runs, times, strict=True):
            start = time.process_time()
            run()
            seconds.append(time.process_time() - start)
    own, others = (min(seconds[WARM_UP:]) * 1000 for seconds in times)
    return own, others


def _run(bundle: Path, tensors: Tensors) -> Callable[[], object]:
    session = on_one_thread(bundle)
    return lambda: session.run(tensors)


def on_one_thread(bundle: Path) -> Session:
    """A bundle's engine, open: on more threads, those that wait for one engine would slow the other down."""
    engine = Engine.load(bundle)
    backend = backend_of(engine)
    return (with_threads(backend, 1) if hasattr(backend, "threads") else backend).open(engine)


def sample(bundle: Path) -> Tensors:
    """The input of the task's sample, at the usual size."""
    config = read_config(bundle)
    task = task_of(config, bundle)
    tensors: Tensors = proof_of(task).samples(task.read(task.sample_source()), 1, config.sizes.usual).tensors
    return tensors


def _versions(config: CompileConfig) -> dict[str, str]:
    backend = build_backend(config.backend)
    names = ("torch", "onnxruntime", *LIBRARIES[backend.name])
    known = {name: installed_version(name) for name in names}
    return {**known, **({backend.name: backend.probe().version} if backend.ENVIRONMENT else {})}


def _finite(number: float) -> float | None:
    return float(f"{number:.3g}") if math.isfinite(number) else None


def main() -> None:
    """Write the attempt as JSON, and again with the milliseconds: a crash while they are taken loses only those."""
    memory, seconds, output, cache, reference, file, *overrides = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (int(float(memory) * GIB),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (int(float(seconds)), int(float(seconds)) + 10))  # first it is told
    answer = Path(file)
    found, bundle = attempt(overrides, Path(output), Path(cache))
    answer.write_text(json.dumps(asdict(found)), encoding="utf-8")
    if bundle and reference:
        own, others = milliseconds(bundle, next(Path(reference).rglob(Engine.SIDECAR)).parent)
        timed = replace(found, milliseconds=round(own, 3), reference=round(others, 3))
        answer.write_text(json.dumps(asdict(timed)), encoding="utf-8")


if __name__ == "__main__":
    main()
