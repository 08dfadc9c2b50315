"""Build the engine of a bundle that was made where none could be built, and prove it against its Program."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from compiler.artifact import Engine, Program, recover_folder, replace_folder
from compiler.backends import PROGRAM_FILE, Backend, BuildRequest, Probe, build_backend
from compiler.backends.onnxruntime import OnnxRuntimeSession
from compiler.config import CompileConfig
from compiler.errors import CompileError, UsageError
from compiler.events import Listener, RunStarted, StageFinished, StageProgressed, StageStarted
from compiler.export import describe
from compiler.pipeline.guards import one_at_a_time, writable
from compiler.pipeline.job import cache_folder
from compiler.pipeline.lock import write_lock
from compiler.pipeline.precision import proof_tolerance
from compiler.pipeline.stages import (
    TIMING_FOLDER,
    check_plan,
    draw,
    engine_picture,
    engine_profile,
    why_unproven,
)
from compiler.proof import AnyProof, Run, StageProof, proof_of, prove
from compiler.report import Report, write_report
from compiler.report.outcome import Outcome
from compiler.runtime import read_config
from compiler.tasks import AnySample, AnyTask, build_task

PROGRAM = "program"


def build(bundle: Path, listen: Listener = lambda event: None) -> Outcome:
    """Build the engine of a bundle, prove it where it can be run, and put both into the bundle.

    Args:
        bundle: What a compile left behind, wherever it lies now.
        listen: Told what happens while it happens.

    Raises:
        UsageError: The bundle's backend builds where it compiles.
        CompileError: The folder is no bundle, or no engine can be built here either; the bundle is untouched.
    """
    bundle = bundle.absolute()  # what is built lies beside it for a while, and "." has nothing beside it
    recover_folder(bundle)
    config, report = read_config(bundle), Report.load(bundle)
    backend = build_backend(Engine.load(bundle).backend)
    probe = backend.probe()
    _check(backend, probe, bundle)
    listen(RunStarted(report.model, report.name))
    partial = bundle.with_name(f".{bundle.name}.partial")
    with writable(bundle), one_at_a_time(bundle, listen):
        shutil.rmtree(partial, ignore_errors=True)
        try:
            shutil.copytree(bundle, partial)
            report = _build(partial, config, report, backend, probe, listen)
            write_report(partial, report)
            write_lock(partial, report)
            replace_folder(partial, bundle)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return report.outcome(bundle)


def _build(
    folder: Path, config: CompileConfig, report: Report, backend: Backend, probe: Probe, listen: Listener
) -> Report:
    """Build and prove the engine in a copy of the bundle, and return the report that it has then."""
    task = build_task(config.model.processing)
    sample, proof = _proof_sample(config, task), proof_of(task)
    begin = perf_counter()
    listen(StageStarted("build"))
    program = describe(folder / PROGRAM_FILE)
    check_plan(backend, backend.plan(program))
    request = BuildRequest(
        program=program,
        folder=folder,
        precision=config.precision,
        profiles=(engine_profile(config, proof, sample),),
        cache=cache_folder(config) / TIMING_FOLDER,
        progress=lambda share, phase: listen(StageProgressed(share, phase)),
    )
    engine = backend.build(request)
    stage = StageFinished("build", perf_counter() - begin, False, f"{engine.file} by {backend.name}")
    listen(stage)
    report = _with_engine(report, engine, probe, stage)
    if report.unproven:
        return report
    run = backend.open(engine).run
    draw(config, task, sample, engine, run, folder / report.pictures[-1])
    return replace(report, proofs=(*report.proofs, _proof(config, proof, sample, program, run)))


def _check(backend: Backend, probe: Probe, bundle: Path) -> None:
    if not (bundle / PROGRAM_FILE).is_file() or not backend.PROFILED:
        raise UsageError(
            f"there is nothing to build for {backend.name}",
            where=str(bundle),
            why="its engine was built where it was compiled",
            fix="compile for a backend whose engines belong to a machine, such as backend=tensorrt",
        )
    if probe.problem or probe.build_problem:
        raise CompileError(
            f"{backend.name} cannot build an engine here",
            where=str(bundle),
            why=probe.problem or probe.build_problem,
            fix="take the bundle to the machine that is to run the engine",
        )


def _with_engine(report: Report, engine: Engine, probe: Probe, stage: StageFinished) -> Report:
    """Return the report of a bundle whose engine is there now."""
    unproven = why_unproven(probe, engine.folder)
    before = tuple(proof for proof in report.proofs if not proof.stage.startswith("engine"))
    pictures = report.pictures if unproven else (report.pictures[0], engine_picture(engine.backend["name"], probe))
    return replace(
        report,
        stages=(*(one for one in report.stages if one.stage != stage.stage), stage),
        proofs=before,
        engine_bytes=engine.path.stat().st_size,
        pictures=pictures,
        unproven=unproven,
    )


def _proof_sample(config: CompileConfig, task: AnyTask) -> AnySample:
    """Return the input that the compile was proven on; the task's own where it was left behind."""
    given = None if config.input is None else Path(config.input)
    is_here = given is None or given.is_file()
    path = given if given is not None and is_here else task.sample_source()
    try:
        return task.read(path, config.box if is_here else None)
    except CompileError:  # the boxes were in a file that is not here
        return task.read(path)


def _proof(config: CompileConfig, proof: AnyProof, sample: AnySample, program: Program, run: Run) -> StageProof:
    """Compare the engine with its Program, in which the compile has already found what the network computes."""
    import onnx

    from rewriters.onnx_functions import with_definitions

    samples = {str(input): proof.samples(sample, input.batch, input.size) for input in config.proof_inputs}
    with TemporaryDirectory() as folder:
        runnable = Path(folder) / PROGRAM_FILE
        runnable.write_bytes(with_definitions(onnx.load(program.path)).SerializeToString())
        stages = [(PROGRAM, OnnxRuntimeSession.as_written(runnable).run), (f"engine ({config.backend['name']})", run)]
        (proven,) = prove(stages, samples, proof, proof_tolerance(config))
    return proven
