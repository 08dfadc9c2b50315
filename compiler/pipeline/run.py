"""What the verbs do: compile a config, plan one. Slices of one line of stages."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace

from compiler.artifact import (
    LOCK_FILE,
    Engine,
    Lock,
    digest,
    file_digests,
    recover_folder,
    replace_folder,
)
from compiler.artifact.source_code import recorded_imports
from compiler.backends import Obstacle
from compiler.config import CompileConfig
from compiler.config.class_names import unnamed_hints
from compiler.config.moved import hints
from compiler.errors import CompileError, UsageError
from compiler.events import Judged, Listener, RunStarted, StageStarted, Warned
from compiler.pipeline.cache import Cache
from compiler.pipeline.composition import (
    Steps,
    build_stage,
    compare_stage,
    engine_picture,
    make_program,
    reference_stage,
    speed_stage,
    verify_stage,
)
from compiler.pipeline.deferred_build import why_unproven
from compiler.pipeline.guards import beside, one_at_a_time, writable
from compiler.pipeline.job import Job, read_job
from compiler.pipeline.line import Line
from compiler.pipeline.lock import write_lock
from compiler.pipeline.log import log_file, logged
from compiler.precision.own import IN_FP32
from compiler.report import Reduced, Report
from compiler.report.outcome import Outcome
from compiler.report.speed import Speed, Tried
from compiler.stages import Artifact, Package, read_proof, read_reduced, read_speed
from compiler.stages.tools import versions

GIB = 1024**3


@recorded_imports()
def compile_bundle(
    config: CompileConfig, listen: Listener = lambda event: None, tried: tuple[Tried, ...] = ()
) -> Outcome:
    """Compile one config into a bundle, or find that its bundle is up to date.

    Args:
        config: Composed and checked.
        listen: Told what happens while it happens.
        tried: The precisions among which this config's was chosen.

    Raises:
        CompileError: Nothing usable could be made; an older bundle is untouched.
    """
    listen(RunStarted(config.model.name, str(config.deploy_name)))
    job = read_job(config, listen)
    bundle, key = job.bundle, digest(job.key)
    current = _current_outcome(job, key)
    if current is not None:  # found before anything is written: what is up to date may be read-only
        _warn(job, listen)
        return current
    with ExitStack() as stack:
        stack.enter_context(writable(bundle))
        stack.enter_context(one_at_a_time(bundle, listen))
        listen = stack.enter_context(logged(log_file(bundle), listen))
        recover_folder(bundle)
        _warn(job, listen)
        return _current_outcome(job, key) or _compile(job, key, listen, tried)


@recorded_imports()
def try_precision(config: CompileConfig, listen: Listener = lambda event: None) -> Tried:
    """Make an engine in a precision, prove it and time it beside fp32; what was made is kept for a compile of it.

    Args:
        config: Composed and checked, in a precision other than fp32.
        listen: Told what happens while it happens.

    Raises:
        UsageError: The config is wrong.
    """
    try:
        listen(RunStarted(config.model.name, str(config.deploy_name)))
        job = read_job(config, listen)
        with writable(job.cache / "tried"):
            line = Line(Cache(job.cache), listen)
            made = _make(job, line)
        report = _report(job, made, line)
    except UsageError:
        raise
    except CompileError as error:
        return Tried(config.precision, error.summary)
    return Tried(config.precision, report.problem, made.speed)


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
    job = read_job(config, listen, installed=False)
    _tell_hints(job.config, listen)
    with writable(job.cache / "plan"):
        steps = make_program(job, Line(Cache(job.cache), listen))
    return job.backend.plan(steps.program.program)


def _warn(job: Job, listen: Listener) -> None:
    """Tell of what a user may not have meant."""
    _tell_hints(job.config, listen)
    if job.checkpoint is None and job.source.caution:
        listen(Warned(job.source.caution))
    if caution := job.proof.caution(job.sample):
        listen(Warned(caution))


def _tell_hints(config: CompileConfig, listen: Listener) -> None:
    """Tell of what was said in words of before, and of what nobody said."""
    for hint in (*hints(config), *unnamed_hints(config.model)):
        listen(Warned(hint))


def _current_outcome(job: Job, key: str) -> Outcome | None:
    """The outcome of an earlier run, if its bundle is whole and was made from the very same inputs."""
    try:
        lock = Lock.load(job.bundle)
        if lock.key != key or lock.files != file_digests(job.bundle, exclude=(LOCK_FILE,)):
            return None
        return Report.load(job.bundle).outcome(job.bundle, up_to_date=True)
    except (CompileError, OSError):  # it is made anew, whatever is wrong with it
        return None


def _compile(job: Job, key: str, listen: Listener, tried: tuple[Tried, ...]) -> Outcome:
    line = Line(Cache(job.cache), listen)
    outcome = _package(job, key, _make(job, line), line, tried)
    line.cache.trim(job.config.cache_limit * GIB)
    return outcome


@dataclass(frozen=True)
class Made:
    """What the stages of a compile made.

    Attributes:
        steps: On the way to the Program.
        engine: Built from it.
        proof: Of all of it.
        speed: Of its precision; None where that was not measured.
    """

    steps: Steps
    engine: Artifact
    proof: Artifact
    speed: Speed | None


def _make(job: Job, line: Line) -> Made:
    """Run the stages, up to the proof and what the precision gains."""
    steps = make_program(job, line)
    engine = line.run(build_stage(job, steps.program, line.listen))
    reference = line.run(reference_stage(job, steps.network))
    comparing = compare_stage(job, steps, reference)
    proof = line.run(verify_stage(job, steps, comparing, line.run(comparing), engine))
    return Made(steps, engine, proof, _speed(job, engine, line))


def _speed(job: Job, engine: Artifact, line: Line) -> Speed | None:
    """What the precision gains here; None where it is fp32's own, and where fp32 is not built beside it."""
    is_run = not job.probe.run_problem and not job.probe.build_problem
    if not (job.is_lowered and job.source.own_precision == IN_FP32 and job.backend.TIMED and is_run):
        return None
    plain, quiet = job.in_fp32, Line(line.cache, lambda event: None)
    try:
        in_fp32 = quiet.run(build_stage(plain, make_program(plain, quiet).program, quiet.listen))
        return read_speed(line.run(speed_stage(job, engine, in_fp32)).folder)
    except CompileError as error:
        line.listen(Warned(f"how fast it is beside fp32 is not known: {error.summary}"))
        return None


def _package(job: Job, key: str, made: Made, line: Line, tried: tuple[Tried, ...]) -> Outcome:
    """Write the bundle beside its place, and put it there in one step."""
    report = replace(_report(job, made, line), tried=tried)
    line.listen(StageStarted(Package.NAME))
    line.listen(Judged(report.outcome(job.bundle).verdict))  # before the log is put into the bundle
    partial = beside(job.bundle)
    partial.mkdir()
    Package(job.config, job.task, made.engine, made.proof, report, log_file(job.bundle)).run(partial)
    write_lock(partial, report, key, job.made_from)
    replace_folder(partial, job.bundle)
    return report.outcome(job.bundle)


def _reduced(job: Job, steps: Steps) -> Reduced | None:
    """What is in a lower precision: as it was written here, or as the network came."""
    if steps.reduced:
        return read_reduced(steps.reduced.folder)
    own = job.source.own_precision
    return None if own == IN_FP32 else Reduced(own.name, own.changed, own.nodes, ())


def _report(job: Job, made: Made, line: Line) -> Report:
    proofs, ledger = read_proof(made.proof.folder)
    return Report(
        model=job.config.model.name,
        name=job.name,
        unit=job.proof.unit,
        checkpoint=str(job.checkpoint or job.source.own_weights),
        source=str(job.sample_path) if job.config.input else job.sample_path.name,
        stages=tuple(line.finished),
        proofs=proofs,
        ledger=ledger,
        config=job.config.values,
        versions=versions(),
        engine_bytes=Engine.load(made.engine.folder).size,
        pictures=(job.source.PICTURE, engine_picture(job.backend, job.probe)),
        reduced=_reduced(job, made.steps),
        unproven=why_unproven(job.backend, job.probe, job.bundle),
        speed=made.speed,
    )
