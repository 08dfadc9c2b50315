"""The stages: each makes one folder of artefacts from the folders of the stages before it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.artifact import Engine, Tensors, read_json, write_json
from compiler.backends.onnxruntime import OnnxRuntimeSession
from compiler.checkpoint import match, read_checkpoint, without_training
from compiler.config import CompileConfig
from compiler.errors import CompileError, UsageError
from compiler.export import ONNX_FILE, Axis, ExportOptions, describe, export, run_network, save_model
from compiler.networks import build, with_tail
from compiler.networks.catalogue import models_that_fit
from compiler.networks.drawn import fill_with_drawn_weights
from compiler.pipeline.job import Job
from compiler.pipeline.keys import versions
from compiler.runtime import batch_runner
from compiler.tasks import AnyTask
from compiler.tasks.images import write_image
from compiler.verify import NETWORK, REWRITTEN, Run, StageProof, Tolerance, compare, prove
from rewriters import Entry, Ledger, RewriterError, Selection, Target, discover, select, unfired, with_measurement

if TYPE_CHECKING:
    from torch import nn

    from rewriters.apply import RewrittenNetwork

WEIGHTS_FILE = "weights.pt"
REWRITTEN_FILE = "rewritten.json"
PROOF_FILE = "proof.json"
NETWORK_PICTURE = "output_pytorch.jpg"
EXPORT_BATCH = 2
"""Exporters freeze a dimension of one."""


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
        return select(discover(), target, config.rewriters.disable, config.rewriters.require)
    except RewriterError as error:
        raise UsageError("the rewriters cannot be chosen", where="rewriters", why=str(error)) from error


@dataclass(frozen=True)
class Networks:
    """The original network and the rewritten one, built when a stage first needs them.

    Attributes:
        job: Describes the network.
        selection: Rewrites it.
        folder: Of the load stage: holds the weights.
    """

    job: Job
    selection: Selection
    folder: Path

    @cached_property
    def original(self) -> nn.Module:
        """The network as its paper draws it, with its tail."""
        import torch

        model = self.job.config.model
        network = build(model.network)
        network.load_state_dict(torch.load(self.folder / WEIGHTS_FILE, weights_only=True))
        return with_tail(network, model.tail) if model.tail else network

    @cached_property
    def rewritten(self) -> RewrittenNetwork:
        """A copy with its modules rewritten; it shares the weights."""
        from rewriters.apply import rewritten

        return rewritten(self.original, self.selection)

    def rewriting(self, *, measure: bool = False) -> AbstractContextManager[Ledger]:
        """Return the context in which function rewriters act on the rewritten network."""
        from rewriters.apply import rewriting

        return rewriting(self.rewritten, measure=measure)


def load(job: Job, folder: Path) -> str:
    """Write the network's weights: the checkpoint's, checked against the network, or drawn ones."""
    import torch

    network = build(job.config.model.network)
    if job.checkpoint is not None:
        origin = [job.checkpoint.name, *_load_checkpoint(job, job.checkpoint, network)]
    elif job.own_code:
        origin = [f"as {job.config.model.target} makes them"]
    else:
        fill_with_drawn_weights(network, job.config.model.processing, job.config.sizes.usual)
        origin = ["drawn"]
    torch.save(network.state_dict(), folder / WEIGHTS_FILE)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return ", ".join([f"{parameters / 1e6:.1f} M parameters", *origin])


def _load_checkpoint(job: Job, checkpoint: Path, network: nn.Module) -> list[str]:
    """Load a checkpoint into the network, or into the user's own within it; return what was done to the weights."""
    weights = read_checkpoint(checkpoint)
    if job.own_code:
        return match(network.get_submodule("module"), weights, source=str(checkpoint))
    return match(
        network, weights, source=str(checkpoint), candidates=lambda: models_that_fit(without_training(weights))
    )


def export_program(job: Job, networks: Networks, folder: Path) -> str:
    """Write the exported Program, and what the function and module rewriters did."""
    config, task = job.config, job.task
    options = ExportOptions(config.exporter, config.export.opset, varying_axes(config, task), task.outputs)
    batch = EXPORT_BATCH if options.dynamic else config.batch.usual
    program = export(
        networks.rewritten.network,
        task.samples(job.source, job.boxes, batch, config.sizes.usual).tensors,
        other_inputs(job),
        options,
        folder,
        rewriting=networks.rewriting,
        comparable=task.comparable,
    )
    rewriters = dict.fromkeys(replacement.rewriter.name for replacement in networks.rewritten.replacements)
    parts = (f"ONNX opset {program.opset} by {options.exporter}", f"{program.nodes} nodes", *rewriters)
    return ", ".join(parts)


def varying_axes(config: CompileConfig, task: AnyTask) -> dict[str, tuple[Axis, ...]]:
    """Return the dimensions of each input that vary: the batch, and the sides of which there are several lengths."""
    if not config.resolved_shape.dynamic:
        return dict.fromkeys(task.inputs, ())
    sizes = config.sizes
    bounds = zip(task.sides, sizes.stride, sizes.smallest, sizes.largest, strict=True)
    varying = {
        name: partial(Axis, name=name, stride=step, smallest=low, largest=high)
        for name, step, low, high in bounds
        if low < high
    }
    varying["batch"] = partial(Axis, name="batch")
    return {
        input: tuple(varying[name](position) for position, name in names.items() if name in varying)
        for input, names in task.axes.items()
    }


def other_inputs(job: Job) -> Iterator[Tensors]:
    """Yield inputs with other values; where sizes vary, of the smallest, and of one that differs along every side."""
    config, task, sizes = job.config, job.task, job.config.sizes
    if config.resolved_shape.dynamic:
        steps = [(2 + index) * stride for index, stride in enumerate(sizes.stride)]
        between = map(min, map(add, sizes.smallest, steps), sizes.largest)
        for batch, size in ((1, sizes.smallest), (EXPORT_BATCH + 1, tuple(between))):
            yield task.samples(job.source, job.boxes, batch, size).tensors
    else:
        count = config.batch.usual
        more = task.samples(job.source, job.boxes, count + 1, sizes.usual).tensors
        yield {name: tensor[1:] if task.axes[name].get(0) == "batch" else tensor for name, tensor in more.items()}


def rewrite(networks: Networks, exported: Path, folder: Path) -> str:
    """Write the Program after each graph rewriter that fired, which of them is the last, and their ledger."""
    import onnx

    from rewriters.apply import apply_graph_rewriter

    model = onnx.load(exported / ONNX_FILE)
    last = ONNX_FILE
    entries: list[Entry] = []
    for rewriter in networks.selection.graphs:
        model, entry = apply_graph_rewriter(model, rewriter, networks.selection.target)
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


def verify(job: Job, networks: Networks, built: Built, folder: Path) -> str:
    """Write the proof, the ledger with what every rewriter did to the numbers, and the two pictures."""
    samples = {
        str(input): job.task.samples(job.source, job.boxes, input.batch, input.size)
        for input in job.config.proof_inputs
    }
    usual = samples[str(job.config.usual_input)].tensors
    engine = Engine.load(built.engine)
    run_engine = job.backend.open(engine).run
    with networks.rewriting(measure=True) as recorder:
        run_network(networks.rewritten.network, usual, job.task.outputs)
    programs = _program_stages(networks.selection, built)
    ledger = [*recorder.entries(), *_graph_entries(job, networks.selection, built, programs, usual)]
    ledger += networks.selection.entries
    _check_required(job.config.rewriters.require, ledger)
    stages: list[tuple[str, Run]] = [
        (NETWORK, lambda tensors: run_network(networks.original, tensors, job.task.outputs)),
        (REWRITTEN, partial(_run_rewritten, networks, job.task.outputs)),
        *programs,
        (f"engine ({job.backend.name})", run_engine),
    ]
    tolerance = Tolerance(job.config.verify.tolerance, job.config.verify.decoded_tolerance)
    proofs = prove(stages, samples, job.task, tolerance, lossy=_lossy_fired(networks.selection, ledger))
    pictures = {NETWORK_PICTURE: stages[0][1], engine_picture(job.backend.name): run_engine}
    for name, run in pictures.items():
        _draw(job, engine, run, folder / name)
    evidence = {"proofs": [proof.to_dict() for proof in proofs], "ledger": [entry.to_dict() for entry in ledger]}
    write_json(folder / PROOF_FILE, evidence)
    worst = proofs[-1].worst
    return f"engine within {worst.relative_error:.1e} σ of the network, input {', '.join(samples)}"


def read_proof(folder: Path) -> tuple[list[StageProof], list[Entry]]:
    """Read what `verify` wrote."""
    evidence = read_json(folder / PROOF_FILE)
    return [StageProof.from_dict(p) for p in evidence["proofs"]], [Entry.from_dict(e) for e in evidence["ledger"]]


def _run_rewritten(networks: Networks, outputs: tuple[str, ...], tensors: Tensors) -> Tensors:
    with networks.rewriting():
        return run_network(networks.rewritten.network, tensors, outputs)


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
