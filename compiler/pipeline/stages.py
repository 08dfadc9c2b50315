"""The stages: each makes one folder of artefacts from the folders of the stages before it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.artifact import Engine, Tensors, read_json, write_json
from compiler.backends.onnxruntime import OnnxRuntimeSession
from compiler.errors import CompileError, UsageError
from compiler.export import ONNX_FILE, describe, save_model
from compiler.pipeline.job import Job
from compiler.pipeline.keys import versions
from compiler.pipeline.origins import Network
from compiler.runtime import batch_runner
from compiler.tasks.images import write_image
from compiler.verify import Run, StageProof, Tolerance, compare, prove
from rewriters import Entry, RewriterError, Selection, Target, discover, select, unfired, with_measurement

REWRITTEN_FILE = "rewritten.json"
PROOF_FILE = "proof.json"


def engine_picture(backend: str) -> str:
    """Return the file name of the picture that the engine's results are drawn in."""
    return f"output_{backend}.jpg"


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
        opset=config.export.opset,
        versions={**versions(), job.backend.name: job.backend.probe().version},
    )
    try:
        selection = select(discover(), target, config.rewriters.disable, config.rewriters.require)
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


def build_engine(job: Job, rewritten: Path, folder: Path) -> str:
    """Let the backend plan and build."""
    program = describe(rewritten / read_json(rewritten / REWRITTEN_FILE)["program"])
    refused = job.backend.plan(program)
    if refused:
        raise CompileError(
            f"{job.backend.name} cannot take {len(refused)} operators of the Program",
            where=", ".join(refused[:5]),
            fix="write a graph rewriter that removes them, or choose another backend",
        )
    engine = job.backend.build(program, folder)
    return f"{engine.file}, {', '.join(map(str, engine.inputs))}"


@dataclass(frozen=True)
class Built:
    """The folders of the stages that made the engine."""

    exported: Path
    rewritten: Path
    engine: Path


def verify(job: Job, network: Network, built: Built, folder: Path) -> str:
    """Write the proof, the ledger with what every rewriter did to the numbers, and the two pictures."""
    samples = {
        str(input): job.task.samples(job.source, job.boxes, input.batch, input.size)
        for input in job.config.proof_inputs
    }
    usual = samples[str(job.config.usual_input)].tensors
    engine = Engine.load(built.engine)
    run_engine = job.backend.open(engine).run
    measured = network.entries(usual)
    programs = _program_stages(network.selection, built)
    ledger = [*measured, *_graph_entries(job, network.selection, built, programs, usual)]
    ledger += network.selection.entries
    _check_required(job.config.rewriters.require, ledger)
    stages = [*network.stages(), *programs, (f"engine ({job.backend.name})", run_engine)]
    tolerance = Tolerance(job.config.verify.tolerance, job.config.verify.decoded_tolerance)
    proofs = prove(stages, samples, job.task, tolerance, lossy=_lossy_fired(network.selection, ledger))
    pictures = {job.origin.picture: stages[0][1], engine_picture(job.backend.name): run_engine}
    for name, run in pictures.items():
        _draw(job, engine, run, folder / name)
    evidence = {"proofs": [proof.to_dict() for proof in proofs], "ledger": [entry.to_dict() for entry in ledger]}
    write_json(folder / PROOF_FILE, evidence)
    worst = proofs[-1].worst
    return f"engine within {worst.relative_error:.1e} σ of the {stages[0][0]}, input {', '.join(samples)}"


def read_proof(folder: Path) -> tuple[list[StageProof], list[Entry]]:
    """Read what `verify` wrote."""
    evidence = read_json(folder / PROOF_FILE)
    return [StageProof.from_dict(p) for p in evidence["proofs"]], [Entry.from_dict(e) for e in evidence["ledger"]]


def _program_stages(selection: Selection, built: Built) -> list[tuple[str, Run]]:
    """Open the Program, and the Program after each graph rewriter; the optimiser of ONNX Runtime is off."""
    steps = {f"after {rewriter.name}": built.rewritten / _step_file(rewriter.name) for rewriter in selection.graphs}
    paths = {"program": built.exported / ONNX_FILE, **{name: path for name, path in steps.items() if path.is_file()}}
    sessions = {name: OnnxRuntimeSession(path, optimization="disabled", spinning=False) for name, path in paths.items()}
    return [(name, _once(session.run)) for name, session in sessions.items()]


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
    lossy = {
        rewriter.name for rewriter in (*selection.functions, *selection.modules) if rewriter.contract.kind == "lossy"
    }
    return any(entry.status == "fired" and entry.name in lossy for entry in ledger)


def _draw(job: Job, engine: Engine, run: Run, path: Path) -> None:
    task = job.task
    prepared = task.preprocess(job.source, job.boxes, job.config.sizes)
    outputs = task.infer(batch_runner(task, run, engine, job.config.batch.largest), prepared.tensors)
    write_image(path, task.draw(job.source, task.decode(outputs, prepared)))


def _step_file(rewriter: str) -> str:
    return f"after_{rewriter}.onnx"
