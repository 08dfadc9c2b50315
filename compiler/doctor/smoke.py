"""Trying a backend out: a tiny network built and run by it, in a process of its own, which it may crash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from compiler.artifact import ended, isolated_command
from compiler.errors import CompileError, one_line
from compiler.packages import package_folders
from compiler.printable import shortened

if TYPE_CHECKING:
    from compiler.backends import Backend, Probe

SECONDS = 180
"""That a backend may take; AOTInductor calls a C++ compiler."""
TOLERANCES = {"fp32": 1e-4, "fp16": 1e-2}
"""In standard deviations of the output."""
MARK = "smoke: "
"""What the line begins with in which the process tells what came out: libraries may print lines of their own."""
WORKS, FAILED, SKIPPED = "works", "failed", "skipped"


@dataclass(frozen=True)
class Smoke:
    """How a backend did.

    Attributes:
        status: `works`, `failed` or `skipped`.
        detail: What was done, or why it was not.
        seconds: What it took.
    """

    status: str
    detail: str
    seconds: float = 0.0


def smoke(backend: Backend, probe: Probe) -> Smoke:
    """Build and run a tiny network, where that can be done here."""
    if reason := probe.problem or probe.build_problem:
        return Smoke(SKIPPED, reason)
    start = perf_counter()
    folders = [str(Path(__file__).resolve().parents[2]), *package_folders()]
    try:
        run = subprocess.run(
            isolated_command("compiler.doctor.smoke", folders),
            input=json.dumps({"backend": backend.node()}),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Smoke(FAILED, f"it took longer than {SECONDS} seconds", perf_counter() - start)
    return _told(run, perf_counter() - start)


def _told(run: subprocess.CompletedProcess[str], seconds: float) -> Smoke:
    """What a process told, or how it ended without a word."""
    said = [line for line in run.stdout.splitlines() if line.startswith(MARK)]
    if said:
        status, detail = json.loads(said[-1].removeprefix(MARK))
        return Smoke(status, detail, seconds)
    last = next((line for line in reversed(run.stderr.splitlines()) if line.strip()), "")
    return Smoke(FAILED, shortened(f"its process ended with {ended(run.returncode)}: {last.strip()}", 300), seconds)


def main() -> None:
    """What the process does: read a backend's node, build, run, and tell."""
    given = json.load(sys.stdin)
    status, detail = try_out(given["backend"])
    print(f"{MARK}{json.dumps([status, detail])}", flush=True)


def try_out(node: Mapping[str, Any]) -> tuple[str, str]:
    """Build and run the network in this process; how that went, and what was done."""
    try:
        with TemporaryDirectory(prefix="deploy-compiler-") as folder:
            return _built_and_run(node, Path(folder))
    except ModuleNotFoundError as error:
        return SKIPPED, f"{error.name} is not installed: pip install 'deploy-compiler[compile]'"
    except CompileError as error:
        return FAILED, shortened(": ".join(filter(None, (error.what, " ".join(error.why.split())))), 300)
    except Exception as error:  # of a library, whose errors have no common base
        return FAILED, shortened(f"{type(error).__name__}: {one_line(error)}", 300)


def _built_and_run(node: Mapping[str, Any], folder: Path) -> tuple[str, str]:
    from compiler.backends import BuildRequest, Profile, build_backend
    from compiler.doctor.network import difference, given, write_program

    backend = build_backend(node)
    probe, precision = backend.probe(), backend.PRECISIONS[0]
    for name in ("program", "engine", "cache"):
        (folder / name).mkdir()
    shapes = {name: array.shape for name, array in given().items()}
    request = BuildRequest(
        program=write_program(backend.PROGRAM, folder / "program"),
        folder=folder / "engine",
        precision=precision,
        profiles=(Profile(shapes, shapes, shapes),) if backend.PROFILED else (),
        cache=folder / "cache",
        progress=lambda share, phase: None,
    )
    engine = backend.build(request)
    if probe.run_problem and not backend.STAND_IN:
        return WORKS, f"built in {precision}, and not run: {probe.run_problem}"
    session = backend.stand_in(engine) if probe.run_problem else backend.open(engine)
    off = difference(session.run(given()))
    done = backend.STAND_IN.word if probe.run_problem and backend.STAND_IN else "run"
    if not off <= TOLERANCES.get(precision, 1.0):
        return FAILED, f"built and {done} in {precision}, and {off:.1e} σ off what should come out"
    return WORKS, f"built and {done} in {precision}, {off:.1e} σ off"
