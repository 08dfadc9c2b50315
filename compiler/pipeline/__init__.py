"""The stages in a straight line: a composed config goes in, a proven engine comes out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from compiler.artifact import Engine, Program, digest, read_json, recover_folder, replace_folder
from compiler.backends import Obstacle
from compiler.config import CompileConfig
from compiler.config.moved import hints
from compiler.errors import CompileError
from compiler.events import Listener, RunStarted, StageFinished, StageStarted, Warned
from compiler.export import describe
from compiler.package import write_bundle
from compiler.pipeline import keys, precision, stages
from compiler.pipeline.cache import Cache, file_digests
from compiler.pipeline.guards import logged, one_at_a_time, writable
from compiler.pipeline.job import Job, read_job
from compiler.pipeline.lock import LOCK_FILE, write_lock
from compiler.report import Report, write_report
from compiler.report.outcome import Outcome
from compiler.sources import Network
from rewriters import RewriterError

LOG_FILE = "compile.log"
GIB = 1024**3


def compile(config: CompileConfig, listen: Listener = lambda event: None) -> Outcome:
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
        for hint in hints(config):
            listen(Warned(hint))
        if job.checkpoint is None and job.origin.caution:
            listen(Warned(job.origin.caution))
        key = keys.run_key(job)
        try:
            return current_outcome(job, key) or _compile(job, key, listen)
        except RewriterError as error:
            raise CompileError("a rewriter failed", where="rewriters", why=str(error)) from error


def log_file(bundle: Path) -> Path:
    """Return the log of the last run for a bundle: beside it, so that a failed run leaves one too."""
    return bundle.with_name(f"{bundle.name}.log")


def current_outcome(job: Job, key: keys.Key) -> Outcome | None:
    """Return the outcome of an earlier run, if its bundle is whole and was made from the very same inputs."""
    lock_file = job.bundle / LOCK_FILE
    if not lock_file.is_file():
        return None
    try:
        lock = read_json(lock_file)
    except CompileError:
        return None
    if lock.get("key") != digest(key) or lock.get("files") != file_digests(job.bundle, exclude=(LOCK_FILE,)):
        return None
    report = Report.load(job.bundle)
    return report.outcome(job.bundle, up_to_date=True)


def plan(config: CompileConfig, listen: Listener = lambda event: None) -> tuple[Obstacle, ...]:
    """Make the Program that an engine would be built from, and return what its backend cannot take of it.

    Args:
        config: Composed and checked; the backend need not be installed.
        listen: Told what happens while it happens.

    Raises:
        CompileError: The Program could not be made.
    """
    listen(RunStarted(config.model.name, str(config.deploy_name)))
    for hint in hints(config):
        listen(Warned(hint))
    job = read_job(config, listen, installed=False)
    with writable(job.cache / "plan"):
        made = _make_program(job, _Stages(Cache(job.cache), listen))
    return job.backend.plan(made.program)


@dataclass(frozen=True)
class _Made:
    """A Program, and what it was made by.

    Attributes:
        network: The original and the rewritten one.
        exported: The folder of the exported Program.
        rewritten: The folder of the Program after the graph rewriters.
        reduced: The folder of the Program in a lower precision; None in fp32.
        key: Of the last of these stages.
    """

    network: Network
    exported: Path
    rewritten: Path
    reduced: Path | None
    key: keys.Key

    @property
    def program(self) -> Program:
        return (
            precision.reduced_program(self.reduced)
            if self.reduced
            else describe(stages.rewritten_program(self.rewritten))
        )


def _make_program(job: Job, stage: _Stages) -> _Made:
    selection = stages.select_rewriters(job)

    load_key = keys.load_key(job)
    loaded = stage("load", load_key, lambda folder: job.origin.load(job, folder))
    network = job.origin.network(job, selection, loaded)

    export_key = keys.export_key(job, selection, load_key)
    exported = stage("export", export_key, network.export)

    rewrite_key = keys.rewrite_key(selection, export_key)
    rewritten = stage("rewrite", rewrite_key, lambda folder: stages.rewrite(network, exported, folder))
    if job.config.precision == "fp32":
        return _Made(network, exported, rewritten, None, rewrite_key)

    program, table, key = stages.rewritten_program(rewritten), None, rewrite_key
    if job.config.precision == "int8":
        key = keys.calibrate_key(job, rewrite_key)
        table = stage("calibrate", key, lambda folder: precision.calibrate(job, program, folder))
    reduce_key = keys.reduce_key(job, key)
    reduced = stage("precision", reduce_key, lambda folder: precision.reduce_precision(job, program, table, folder))
    return _Made(network, exported, rewritten, reduced, reduce_key)


def _compile(job: Job, key: keys.Key, listen: Listener) -> Outcome:
    stage = _Stages(Cache(job.cache), listen)
    made = _make_program(job, stage)

    build_key = keys.build_key(job, made.key)
    engine = stage("build", build_key, lambda folder: stages.build_engine(job, made.program, folder, listen))

    built = stages.Built(made.exported, made.rewritten, made.reduced, engine)
    verify_key = keys.verify_key(job, build_key)
    verified = stage("verify", verify_key, lambda folder: stages.verify(job, made.network, built, folder))

    outcome = _package(job, key, built, verified, stage)
    stage.cache.trim(job.config.cache_limit * GIB)
    return outcome


@dataclass
class _Stages:
    """Runs stages through the cache, tells the listener, and remembers what each one took."""

    cache: Cache
    listen: Listener
    finished: list[StageFinished] = field(default_factory=list)

    def __call__(self, name: str, key: keys.Key, make: Callable[[Path], str]) -> Path:
        self.listen(StageStarted(name))
        result = self.cache.get(name, key, make)
        self.finished.append(StageFinished(name, result.seconds, result.cached, result.detail))
        self.listen(self.finished[-1])
        return result.folder


def _package(job: Job, key: keys.Key, built: stages.Built, verified: Path, stage: _Stages) -> Outcome:
    """Write the bundle beside its place, and put it there in one step."""
    proofs, ledger = stages.read_proof(verified)
    engine = Engine.load(built.engine)
    report = Report(
        model=job.config.model.name,
        name=job.name,
        unit=job.task.unit,
        checkpoint=str(job.checkpoint or job.origin.weights),
        source=str(job.source_path)
        if job.config.image or job.config.points or job.config.arrays
        else job.source_path.name,
        stages=tuple(stage.finished),
        proofs=tuple(proofs),
        ledger=tuple(ledger),
        config=asdict(job.config),
        versions=keys.versions(),
        engine_bytes=engine.path.stat().st_size if engine.path.is_file() else None,
        pictures=(job.origin.picture, stages.engine_picture(job.backend.name, job.probe)),
        reduced=precision.read_reduced(built.reduced) if built.reduced else None,
        unproven=stages.why_unproven(job.probe, job.bundle),
    )
    stage.listen(StageStarted("package"))
    partial = job.bundle.with_name(f".{job.bundle.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    write_bundle(partial, job.config, job.task, engine)
    for picture in report.pictures:
        shutil.copyfile(verified / picture, partial / picture)
    write_report(partial, report)
    shutil.copyfile(log_file(job.bundle), partial / LOG_FILE)
    write_lock(partial, report, key)
    replace_folder(partial, job.bundle)
    return report.outcome(job.bundle)
