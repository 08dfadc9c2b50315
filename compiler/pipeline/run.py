"""What the verbs do: compile a config, plan one, build the engine of a bundle. Slices of one line of stages."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from compiler.artifact import Engine, digest, read_json, recover_folder, replace_folder
from compiler.artifact.source_code import recorded_imports
from compiler.backends import PROGRAM_FILE, Backend, Obstacle, Probe, backend_of
from compiler.config import CompileConfig
from compiler.config.moved import hints
from compiler.errors import CompileError, UsageError
from compiler.events import Judged, Listener, RunStarted, StageStarted, Warned
from compiler.pipeline.cache import Cache, file_digests
from compiler.pipeline.composition import (
    Steps,
    build_stage,
    engine_picture,
    engine_profiles,
    make_program,
    measurements_folder,
    progress_to,
    proof_tolerance,
    real_input,
    verify_stage,
)
from compiler.pipeline.guards import one_at_a_time, writable
from compiler.pipeline.job import Job, cache_folder, proof_sample, read_job
from compiler.pipeline.line import Line
from compiler.pipeline.lock import LOCK_FILE, write_lock
from compiler.pipeline.log import log_file, logged
from compiler.proof import proof_of
from compiler.report import Report, write_report
from compiler.report.outcome import Outcome
from compiler.runtime import read_config
from compiler.stages import Artifact, Build, Package, ProgramArtifact, VerifyEngine, read_proof, read_reduced
from compiler.stages.tools import versions
from compiler.stages.verify import ENGINE
from compiler.tasks import build_task

GIB = 1024**3


@recorded_imports()
def compile_bundle(config: CompileConfig, listen: Listener = lambda event: None) -> Outcome:
    """Compile one config into a bundle, or find that its bundle is up to date.

    Args:
        config: Composed and checked.
        listen: Told what happens while it happens.

    Raises:
        CompileError: Nothing usable could be made; an older bundle is untouched.
    """
    listen(RunStarted(config.model.name, str(config.deploy_name)))
    job = read_job(config, listen)
    bundle = job.bundle
    with ExitStack() as stack:
        stack.enter_context(writable(bundle))
        stack.enter_context(one_at_a_time(bundle, listen))
        listen = stack.enter_context(logged(log_file(bundle), listen))
        recover_folder(bundle)
        _warn(config, listen)
        if job.checkpoint is None and job.source.caution:
            listen(Warned(job.source.caution))
        key = digest(job.key)
        return _current_outcome(job, key) or _compile(job, key, listen)


@recorded_imports()
def find_obstacles(config: CompileConfig, listen: Listener = lambda event: None) -> tuple[Obstacle, ...]:
    """Make the Program that an engine would be built from, and tell what its backend cannot take of it.

    Args:
        config: Composed and checked; the backend need not be installed.
        listen: Told what happens while it happens.

    Raises:
        CompileError: The Program could not be made.
    """
    listen(RunStarted(config.model.name, str(config.deploy_name)))
    _warn(config, listen)
    job = read_job(config, listen, installed=False)
    with writable(job.cache / "plan"):
        steps = make_program(job, Line(Cache(job.cache), listen))
    return job.backend.plan(steps.program.program)


def build_bundle(bundle: Path, listen: Listener = lambda event: None, modules: Collection[str] = ()) -> Outcome:
    """Build the engine of a bundle, prove it where it can be run, and put both into the bundle.

    Args:
        bundle: What a compile left behind, wherever it lies now.
        listen: Told what happens while it happens.
        modules: Of the user's own backend or task: see `compiler.runtime.open`.

    Raises:
        UsageError: The bundle's backend builds where it compiles.
        CompileError: The folder is no bundle, or no engine can be built here either; the bundle is untouched.
    """
    bundle = bundle.absolute()  # what is built lies beside it for a while, and "." has nothing beside it
    recover_folder(bundle)
    config, report = read_config(bundle, modules), Report.load(bundle)
    backend = backend_of(Engine.load(bundle), modules)
    probe = backend.probe()
    _check_buildable(config, backend, probe, bundle)
    listen(RunStarted(report.model, report.name))
    with writable(bundle), one_at_a_time(bundle, listen):
        partial = _beside(bundle)
        try:
            shutil.copytree(bundle, partial)
            report = _build(partial, config, report, backend, probe, Line(Cache(cache_folder(config)), listen))
            write_report(partial, report)
            write_lock(partial, report)
            replace_folder(partial, bundle)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return report.outcome(bundle)


def _warn(config: CompileConfig, listen: Listener) -> None:
    """Tell of what was said in words of before."""
    for hint in hints(config):
        listen(Warned(hint))


def _current_outcome(job: Job, key: str) -> Outcome | None:
    """The outcome of an earlier run, if its bundle is whole and was made from the very same inputs."""
    lock_file = job.bundle / LOCK_FILE
    if not lock_file.is_file():
        return None
    try:
        lock = read_json(lock_file)
    except CompileError:
        return None
    if lock.get("key") != key or lock.get("files") != file_digests(job.bundle, exclude=(LOCK_FILE,)):
        return None
    return Report.load(job.bundle).outcome(job.bundle, up_to_date=True)


def _compile(job: Job, key: str, listen: Listener) -> Outcome:
    line = Line(Cache(job.cache), listen)
    steps = make_program(job, line)
    engine = line.run(build_stage(job, steps.program, listen))
    proof = line.run(verify_stage(job, steps, engine))
    outcome = _package(job, key, steps, engine, proof, line)
    line.cache.trim(job.config.cache_limit * GIB)
    return outcome


def _package(job: Job, key: str, steps: Steps, engine: Artifact, proof: Artifact, line: Line) -> Outcome:
    """Write the bundle beside its place, and put it there in one step."""
    report = _report(job, steps, engine, proof, line)
    line.listen(StageStarted(Package.NAME))
    line.listen(Judged(report.outcome(job.bundle).verdict))  # before the log is put into the bundle
    partial = _beside(job.bundle)
    partial.mkdir()
    Package(job.config, job.task, engine, proof, report, log_file(job.bundle)).run(partial)
    write_lock(partial, report, key)
    replace_folder(partial, job.bundle)
    return report.outcome(job.bundle)


def _report(job: Job, steps: Steps, engine: Artifact, proof: Artifact, line: Line) -> Report:
    proofs, ledger = read_proof(proof.folder)
    return Report(
        model=job.config.model.name,
        name=job.name,
        unit=job.proof.unit,
        checkpoint=str(job.checkpoint or job.source.own_weights),
        source=str(job.sample_path) if job.config.input else job.sample_path.name,
        stages=tuple(line.finished),
        proofs=proofs,
        ledger=ledger,
        config=asdict(job.config),
        versions=versions(),
        engine_bytes=Engine.load(engine.folder).size,
        pictures=(job.source.PICTURE, engine_picture(job.backend.name, job.probe.run_problem)),
        reduced=read_reduced(steps.reduced.folder) if steps.reduced else None,
        unproven=_why_unproven(job.backend, job.probe, job.bundle),
    )


def _build(folder: Path, config: CompileConfig, report: Report, backend: Backend, probe: Probe, line: Line) -> Report:
    """Build and prove the engine in a copy of the bundle; the report that it has then."""
    task = build_task(config.model.processing)
    sample, proof = proof_sample(config, task), proof_of(task)
    program = ProgramArtifact.from_file(folder / PROGRAM_FILE)
    stage = Build(
        program=program,
        backend=backend,
        probe=probe,
        precision=config.precision,
        profiles=engine_profiles(config, backend, proof, sample),
        calibration=None,
        measurements=measurements_folder(config),
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


def _check_buildable(config: CompileConfig, backend: Backend, probe: Probe, bundle: Path) -> None:
    if not (bundle / PROGRAM_FILE).is_file() or not backend.DEFERRED_BUILD:
        raise UsageError(
            f"there is nothing to build for {backend.name}",
            where=str(bundle),
            why="its engine was built where it was compiled",
            fix="compile for a backend whose engines belong to a machine, such as backend=tensorrt",
        )
    if config.precision == "int8" and backend.quantization is None:
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
    unproven = _why_unproven(backend, probe, engine.folder)
    before = tuple(proof for proof in report.proofs if not proof.stage.startswith(ENGINE))
    picture = engine_picture(backend.name, probe.run_problem)
    built = {stage.stage for stage in line.finished}
    return replace(
        report,
        stages=(*(one for one in report.stages if one.stage not in built), *line.finished),
        proofs=before,
        engine_bytes=engine.size,
        pictures=report.pictures if unproven else (report.pictures[0], picture),
        unproven=unproven,
    )


def _why_unproven(backend: Backend, probe: Probe, bundle: Path) -> str:
    """Why the engine was not built or not run, and what to do about it; empty where it was run."""
    if probe.build_problem:
        return (
            f"no engine was built: {probe.build_problem}. On the machine that is to run it: "
            f"{backend.deferred_build_advice(bundle)}"
        )
    return f"the engine was built and not run: {probe.run_problem}" if probe.run_problem else ""


def _beside(bundle: Path) -> Path:
    """Where a bundle is made before it is put in its place; what a killed run left there is removed."""
    partial = bundle.with_name(f".{bundle.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    return partial
