"""Building the engine of a bundle that was made where none could be built."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compiler.artifact import (
    Engine,
    Lock,
    copy_files,
    files_in,
    lock_of,
    recover_folder,
    remove,
    replace_folder,
    require_files,
)
from compiler.backends import PROGRAM_FILE, Backend, Probe, backend_of, measurements_folder
from compiler.config import CompileConfig
from compiler.config.limits import DEFAULT_LIMITS, Limits, check_inputs
from compiler.errors import CompileError, UsageError
from compiler.events import Listener, RunStarted
from compiler.pipeline.cache import Cache
from compiler.pipeline.composition import (
    engine_picture,
    engine_profiles,
    progress_to,
    real_input,
)
from compiler.pipeline.guards import beside, one_at_a_time, writable
from compiler.pipeline.job import cache_folder
from compiler.pipeline.line import Line
from compiler.pipeline.lock import write_lock
from compiler.pipeline.tolerances import proof_tolerance
from compiler.proof import proof_of
from compiler.report import Report, write_report
from compiler.report.outcome import Outcome
from compiler.report.report import JSON_FILE
from compiler.runtime import CONFIG_FILE, read_config, task_of
from compiler.stages import Build, ProgramArtifact, VerifyEngine, read_proof
from compiler.stages.verify import ENGINE
from compiler.tasks import AnySample, build_task


def build_bundle(
    bundle: Path,
    listen: Listener = lambda event: None,
    modules: Collection[str] = (),
    *,
    cache: Path | None = None,
    source: Path | None = None,
    box: Any = None,
    trust_changes: bool = False,
    limits: Limits = DEFAULT_LIMITS,
) -> Outcome:
    """Build the engine of a bundle, prove it where it can be run, and put both into the bundle.

    What the bundle's config says of other places counts for nothing here: it was written elsewhere, by whomever.

    Args:
        bundle: What a compile left behind, wherever it lies now.
        listen: Told what happens while it happens.
        modules: Of the user's own backend or task: see `compiler.runtime.open`.
        cache: Where builders keep what they measured; None for where a compile does that is told nothing.
        source: What the engine is proven on; None for the sample of the task.
        box: Where the objects are in it.
        trust_changes: Whether the bundle's files may be others than its lock says.
        limits: What that input, and those of the engine, may cost.

    Raises:
        UsageError: The bundle's backend builds where it compiles.
        CompileError: The folder is no bundle, was changed, or no engine can be built here either; the bundle is
            untouched.
    """
    bundle = Path(os.path.realpath(bundle))  # what is built lies beside it for a while
    recover_folder(bundle)
    lock = lock_of(bundle, trust_changes)
    files = files_in(bundle)
    known = {name: path for name, path in files.items() if lock is None or name in lock.files}
    require_files(bundle, (CONFIG_FILE, JSON_FILE, Engine.SIDECAR), lock)
    config, report, engine = read_config(bundle, modules, limits), Report.load(bundle), Engine.load(bundle)
    gone = {name for name in engine.files if not os.path.lexists(bundle / name)}  # which is built anew
    require_files(bundle, sorted((lock.files if lock else {}).keys() - gone), lock)
    backend = backend_of(engine, modules)
    probe = backend.probe()
    _check_buildable(config, backend, probe, bundle)
    require_files(bundle, (PROGRAM_FILE, *report.pictures), lock)
    task, cache = task_of(config, bundle), cache or cache_folder()
    sample = task.read(source or task.sample_source(), box, limits)
    listen(RunStarted(report.model, report.name))
    with writable(bundle), one_at_a_time(bundle, listen):
        partial = beside(bundle)
        try:
            copy_files(known, partial)
            report = _build(partial, config, sample, report, backend, probe, Line(Cache(cache), listen))
            write_report(partial, report)
            before = lock or _lock_of(bundle)
            write_lock(partial, report, before.key, before.made_from)
            # What was added is carried along, and the lock does not know it.
            copy_files({name: path for name, path in files.items() if not (partial / name).exists()}, partial)
            replace_folder(partial, bundle)
        finally:
            with suppress(OSError):
                remove(partial)
    return report.outcome(bundle)


def why_unproven(backend: Backend, probe: Probe, bundle: Path) -> str:
    """Why the engine was not built or not run, and what to do about it; empty where it was run."""
    if probe.build_problem:
        return (
            f"no engine was built: {probe.build_problem}. On the machine that is to run it: "
            f"{backend.deferred_build_advice(bundle)}"
        )
    if not probe.run_problem:
        return ""
    instead = f"; instead {backend.STAND_IN.done}" if backend.STAND_IN else ""
    return f"the engine was built and not run: {probe.run_problem}{instead}"


def _build(
    folder: Path, config: CompileConfig, sample: AnySample, report: Report, backend: Backend, probe: Probe, line: Line
) -> Report:
    """Build and prove the engine in a copy of the bundle; the report that it has then."""
    proof = proof_of(build_task(config.model.processing))
    program = ProgramArtifact.from_file(folder / PROGRAM_FILE)
    check_inputs(program.program.inputs, str(program.path), config.limits)
    stage = Build(
        program=program,
        backend=backend,
        probe=probe,
        precision=config.precision,
        profiles=engine_profiles(config, backend, proof, sample),
        calibration=None,
        keep_fp32=(),
        measurements=measurements_folder(line.cache.root),
        progress=progress_to(line.listen),
    )
    built = line.run_into(folder, stage)
    report = _with_engine(report, backend, Engine.load(folder), probe, line)
    if report.unproven:
        return report
    given, tolerance = real_input(config, proof, sample), proof_tolerance(config)
    with TemporaryDirectory() as temporary:
        VerifyEngine(program, built, backend, given, tolerance, report.pictures[-1]).run(Path(temporary))
        (proven,), _ = read_proof(Path(temporary))
        shutil.copyfile(Path(temporary) / report.pictures[-1], folder / report.pictures[-1])
    return replace(report, proofs=(*report.proofs, proven))


def _lock_of(bundle: Path) -> Lock:
    """What a bundle says that it was made from; nothing where its lock is missing or broken."""
    try:
        return Lock.load(bundle)
    except CompileError:
        return Lock("", {})


def _check_buildable(config: CompileConfig, backend: Backend, probe: Probe, bundle: Path) -> None:
    if not (bundle / PROGRAM_FILE).is_file() or not backend.DEFERRED_BUILD:
        raise UsageError(
            f"there is nothing to build for {backend.name}",
            where=str(bundle),
            why="its engine was built where it was compiled",
            fix="compile for a backend whose engines belong to a machine, such as backend=tensorrt",
        )
    if config.precision == "int8" and backend.lowers("int8"):
        raise UsageError(
            f"{backend.name} builds engines in int8 where it compiles",
            where=str(bundle),
            why="the bundle does not hold what int8 is calibrated on",
            fix="compile on the machine that is to run the engine",
        )
    if probe.problem or probe.build_problem:
        raise CompileError(
            f"{backend.name} cannot build an engine here",
            where=str(bundle),
            why=probe.problem or probe.build_problem,
            fix="take the bundle to the machine that is to run the engine",
        )


def _with_engine(report: Report, backend: Backend, engine: Engine, probe: Probe, line: Line) -> Report:
    """The report of a bundle whose engine is there now."""
    unproven = why_unproven(backend, probe, engine.folder)
    before = tuple(proof for proof in report.proofs if not proof.stage.startswith(ENGINE))
    picture = engine_picture(backend, probe)
    built = {stage.stage for stage in line.finished}
    return replace(
        report,
        stages=(*(one for one in report.stages if one.stage not in built), *line.finished),
        proofs=before,
        engine_bytes=engine.size,
        pictures=report.pictures if unproven else (report.pictures[0], picture),
        unproven=unproven,
    )
