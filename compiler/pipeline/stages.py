"""The stages: each makes one folder of artefacts from the folders of the stages before it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.artifact import Engine, Program, Tensors, read_json, write_json
from compiler.backends import Backend, BuildRequest, Obstacle, Probe, Profile
from compiler.backends.onnxruntime import OnnxRuntimeSession
from compiler.config import CompileConfig
from compiler.errors import CompileError, UsageError
from compiler.events import Listener, StageProgressed
from compiler.export import ONNX_FILE, save_model
from compiler.pipeline.job import Job
from compiler.pipeline.keys import versions
from compiler.pipeline.precision import proof_tolerance, reduced_program
from compiler.proof import Run, StageProof, Tolerance, compare, prove
from compiler.runtime import batch_runner
from compiler.sources import Network
from compiler.tasks import AnyTask
from compiler.tasks.images import write_image
from rewriters import Entry, RewriterError, Selection, Target, discover, select, unfired, with_measurement

REWRITTEN_FILE = "rewritten.json"
PROOF_FILE = "proof.json"
TIMING_FOLDER = "timing"
"""Within the cache: what builders measured."""


def engine_picture(backend: str, probe: Probe) -> str:
    """Return the file name of the picture of the engine's results; of the Program's, where no engine can be run."""
    return f"output_{'program' if probe.run_problem else backend}.jpg"


def why_unproven(probe: Probe, bundle: Path) -> str:
    """Return why the engine was not built or not run, and what to do about it; empty where it was run."""
    if probe.build_problem:
        return (
            f"no engine was built: {probe.build_problem}. On the machine that is to run it: "
            f"python {bundle}/build_engine.py, or python -m compiler build {bundle}"
        )
    return f"the engine was built and not run: {probe.run_problem}" if probe.run_problem else ""


def select_rewriters(job: Job) -> Selection:
    """Choose the rewriters for a job.

    Raises:
        UsageError: The config names one that does not exist, cannot be used here, or rivals another.
    """
    config = job.config
    target = Target(
        backend=job.backend.name,
        ir=job.backend.ir,
        precision=config.precision,
        algo=config.model.algo,
        exporter=config.exporter,
        opset=config.export.opset,
        batch=config.fixed_batch,
        versions={**versions(), job.backend.name: job.probe.version},
    )
    try:
        selection = select(discover("compiler.networks"), target, config.rewriters.disable, config.rewriters.require)
    except RewriterError as error:
        raise UsageError("the rewriters cannot be chosen", where="rewriters", why=str(error)) from error
    return job.origin.rewritable_by(selection)


def rewrite(network: Network, exported: Path, folder: Path) -> str:
    """Write the Program after each graph rewriter that fired, which of them is the last, and their ledger."""
    import onnx

    from rewriters.apply import apply_graph_rewriter

    model = onnx.load(exported / ONNX_FILE)
    last = ONNX_FILE
    entries: list[Entry] = []
    for rewriter in network.selection.graphs:
        model, entry = apply_graph_rewriter(model, rewriter, network.selection.target)
        entries.append(entry)
        if entry.status == "fired":
            last = _step_file(rewriter.name)
            save_model(model, folder / last)
    if last == ONNX_FILE:
        shutil.copyfile(exported / ONNX_FILE, folder / ONNX_FILE)
    write_json(folder / REWRITTEN_FILE, {"program": last, "ledger": [entry.to_dict() for entry in entries]})
    fired = [entry.name for entry in entries if entry.status == "fired"]
    return f"{len(model.graph.node)} nodes after {', '.join(fired) or 'no graph rewriter'}"


def rewritten_program(folder: Path) -> Path:
    """Return the Program after the last graph rewriter."""
    return folder / str(read_json(folder / REWRITTEN_FILE)["program"])


def build_engine(job: Job, program: Program, folder: Path, listen: Listener) -> str:
    """Let the backend plan, and build; or write what an engine is built from elsewhere, where it cannot build here."""
    check_plan(job.backend, job.backend.plan(program))
    request = BuildRequest(
        program=program,
        folder=folder,
        precision=job.config.precision,
        profiles=(engine_profile(job.config, job.task, job.source, job.boxes),) if job.backend.PROFILED else (),
        cache=job.cache / TIMING_FOLDER,
        progress=lambda share, phase: listen(StageProgressed(share, phase)),
    )
    if job.probe.build_problem:
        engine = job.backend.postpone(request)
        return f"{engine.file} is left to build, {', '.join(map(str, engine.inputs))}"
    engine = job.backend.build(request)
    return f"{engine.file}, {', '.join(map(str, engine.inputs))}"


def engine_profile(config: CompileConfig, task: AnyTask, source: Any, boxes: Any) -> Profile:
    """Return the shapes of the smallest, the usual and the largest input that a config asks for."""
    inputs = config.proof_inputs
    shapes = []
    for input in (inputs[0], config.usual_input, inputs[-1]):
        tensors = task.samples(source, boxes, input.batch, input.size).tensors
        shapes.append({name: tensor.shape for name, tensor in tensors.items()})
    return Profile(*shapes)


def check_plan(backend: Backend, obstacles: Sequence[Obstacle]) -> None:
    """Refuse to build what cannot be built.

    Raises:
        CompileError: There are obstacles; the first one is named.
    """
    if not obstacles:
        return
    first, *others = obstacles
    more = f", and {len(others)} more" if others else ""
    raise CompileError(
        f"{backend.name} cannot take this Program",
        where=f"{first.operator} ({first.node.partition(', ')[0]}){more}",
        why=first.why,
        fix=f"{first.fix or 'write a graph rewriter that removes it'}; python -m compiler plan lists everything",
    )


@dataclass(frozen=True)
class Built:
    """The folders of the stages that made the engine; no `reduced` where the precision is fp32."""

    exported: Path
    rewritten: Path
    reduced: Path | None
    engine: Path


def verify(job: Job, network: Network, built: Built, folder: Path) -> str:
    """Write the proof, the ledger with what every rewriter did to the numbers, and the two pictures."""
    samples = {
        str(input): job.task.samples(job.source, job.boxes, input.batch, input.size)
        for input in job.config.proof_inputs
    }
    usual = samples[str(job.config.usual_input)].tensors
    measured = network.entries(usual)
    programs = _program_stages(network.selection, built)
    ledger = [*measured, *_graph_entries(job, network.selection, built, programs, usual), *network.selection.entries]
    ledger.sort(key=lambda entry: entry.status != "fired")
    _check_required(job.config.rewriters.require, ledger)
    behind = _stages_behind_the_rewriters(job, built)
    stages = [*network.stages(), *programs, *behind]
    tolerance = Tolerance(job.config.verify.tolerance, job.config.verify.decoded_tolerance)
    reduced = dict.fromkeys((name for name, _ in behind), proof_tolerance(job.config))
    lossy = _lossy_fired(network.selection, ledger)
    proofs = prove(stages, samples, job.task, tolerance, lossy=lossy, reduced=reduced)
    pictures = {job.origin.picture: stages[0][1], engine_picture(job.backend.name, job.probe): stages[-1][1]}
    for name, run in pictures.items():
        draw(job.config, job.task, job.source, job.boxes, Engine.load(built.engine), run, folder / name)
    evidence = {"proofs": [proof.to_dict() for proof in proofs], "ledger": [entry.to_dict() for entry in ledger]}
    write_json(folder / PROOF_FILE, evidence)
    last = proofs[-1]
    return f"{last.stage} within {last.worst.relative_error:.1e} σ of the {stages[0][0]}, input {', '.join(samples)}"


def _stages_behind_the_rewriters(job: Job, built: Built) -> list[tuple[str, Run]]:
    """Open the Program in its lower precision, and the engine where it can be run here."""
    stages: list[tuple[str, Run]] = []
    if built.reduced:
        session = OnnxRuntimeSession.as_written(reduced_program(built.reduced).path)
        stages.append((job.config.precision, _once(session.run)))
    if not job.probe.run_problem:
        stages.append((f"engine ({job.backend.name})", job.backend.open(Engine.load(built.engine)).run))
    return stages


def read_proof(folder: Path) -> tuple[list[StageProof], list[Entry]]:
    """Read what `verify` wrote."""
    evidence = read_json(folder / PROOF_FILE)
    return [StageProof.from_dict(p) for p in evidence["proofs"]], [Entry.from_dict(e) for e in evidence["ledger"]]


def _program_stages(selection: Selection, built: Built) -> list[tuple[str, Run]]:
    """Open the Program, and the Program after each graph rewriter; the optimiser of ONNX Runtime is off."""
    steps = {f"after {rewriter.name}": built.rewritten / _step_file(rewriter.name) for rewriter in selection.graphs}
    paths = {"program": built.exported / ONNX_FILE, **{name: path for name, path in steps.items() if path.is_file()}}
    return [(name, _once(OnnxRuntimeSession.as_written(path).run)) for name, path in paths.items()]


def _once(run: Run) -> Run:
    """Return a way to run a stage that runs it once on each input: the ledger and the proof ask for the same."""
    results: dict[int, Tensors] = {}

    def remembered(tensors: Tensors) -> Tensors:
        if id(tensors) not in results:
            results[id(tensors)] = run(tensors)
        return results[id(tensors)]

    return remembered


def _graph_entries(
    job: Job, selection: Selection, built: Built, programs: Sequence[tuple[str, Run]], tensors: Tensors
) -> Iterator[Entry]:
    """Yield the graph rewriters' ledger entries, with the difference that each of them made."""
    contracts = {rewriter.name: rewriter.contract for rewriter in selection.graphs}
    steps = iter(programs)
    _, run_before = next(steps)
    before = run_before(tensors)
    for entry in map(Entry.from_dict, read_json(built.rewritten / REWRITTEN_FILE)["ledger"]):
        if entry.status != "fired":
            yield entry
            continue
        _, run_after = next(steps)
        after = run_after(tensors)
        error = max(comparison.max_absolute_error for comparison in compare(before, after, job.task))
        yield with_measurement(entry, contracts[entry.name], error)
        before = after


def _check_required(required: Sequence[str], ledger: list[Entry]) -> None:
    missing = unfired(required, ledger)
    if missing:
        raise CompileError(
            f"the rewriter {' and '.join(missing)} was asked for and did not fire",
            where=f"rewriters.require=[{', '.join(required)}]",
            why="; ".join(f"{name}: {reason}" for name, reason in missing.items()),
            fix="leave it out of rewriters.require, or see docs/rewriters.md for what makes one fire",
        )


def _lossy_fired(selection: Selection, ledger: list[Entry]) -> bool:
    lossy = {rewriter.name for rewriter in selection.of_network if rewriter.contract.kind == "lossy"}
    return any(entry.status == "fired" and entry.name in lossy for entry in ledger)


def draw(config: CompileConfig, task: AnyTask, source: Any, boxes: Any, engine: Engine, run: Run, path: Path) -> None:
    """Write a picture of what a stage finds in the proof's input."""
    prepared = task.preprocess(source, boxes, config.sizes)
    outputs = task.infer(batch_runner(task, run, engine, config.batch.largest), prepared.tensors)
    write_image(path, task.draw(source, task.decode(outputs, prepared)))


def _step_file(rewriter: str) -> str:
    return f"after_{rewriter}.onnx"
