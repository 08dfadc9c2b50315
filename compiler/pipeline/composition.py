"""From a job to its stages: one function a stage, which says what of the job the stage depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import add

from compiler.artifact import Tensors
from compiler.artifact.input_files import changed
from compiler.artifact.source_code import code_digest
from compiler.backends import Backend, Probe, Profile, measurements_folder
from compiler.config import CompileConfig
from compiler.config.known_classes import modules_named
from compiler.config.sizes import Size, SizeRange
from compiler.events import Listener, StageProgressed
from compiler.export import Axis
from compiler.pipeline.job import Job
from compiler.pipeline.line import Line
from compiler.pipeline.tolerances import lossy_tolerance, proof_tolerance, tolerance_of
from compiler.precision.int8.schemes import QuantizationScheme
from compiler.proof import AnyProof
from compiler.sources import Rewriting, Samples
from compiler.stages import (
    Artifact,
    Build,
    Calibrate,
    CalibrationData,
    Compare,
    Export,
    Load,
    LoadedNetwork,
    MeasureSpeed,
    Pictures,
    ProgramArtifact,
    Quantize,
    RealInput,
    ReduceToHalf,
    Rewrite,
    Rewriters,
    RunReference,
    Verify,
    select_rewriters,
)
from compiler.stages.tools import plug_in_contents, versions
from compiler.tasks import AnySample, AnyTask
from rewriters import Selection, Target

EXPORT_BATCH = 2
"""Exporters freeze a dimension of one."""


@dataclass(frozen=True)
class Steps:
    """What was made on the way to a Program that a backend can build.

    Attributes:
        network: The original, and what is done to it.
        selection: The rewriters of the run.
        exported: The Program as it was exported.
        rewritten: After the graph rewriters; None where there is no graph.
        reduced: In a lower precision; None in the one it comes in, and where the backend lowers it by itself.
    """

    network: LoadedNetwork
    selection: Selection
    exported: ProgramArtifact
    rewritten: ProgramArtifact | None = None
    reduced: ProgramArtifact | None = None

    @property
    def program(self) -> ProgramArtifact:
        """What an engine is built from."""
        return self.reduced or self.rewritten or self.exported


def make_program(job: Job, line: Line) -> Steps:
    """Run the stages from the network to the Program that an engine is built from."""
    selection = selection_for(job)
    loaded = line.run(Load(job.source, job.weights))
    network = LoadedNetwork(loaded, rewriting_of(job, selection), job.source, job.task)
    exported = line.run_program(export_stage(job, network, selection))
    if not job.has_graph:
        return Steps(network, selection, exported)
    rewritten = line.run_program(Rewrite(exported, Rewriters.of_graph(selection)))
    return Steps(network, selection, exported, rewritten, reduced_program(job, rewritten, line))


def reduced_program(job: Job, program: ProgramArtifact, line: Line) -> ProgramArtifact | None:
    """The Program in a lower precision than it comes in; None where it stays, or the backend lowers it by itself."""
    precision, scheme = job.config.precision, job.backend.quantization
    if not job.is_lowered or job.backend.lowers(precision):
        return None
    if precision != "int8" or scheme is None:
        return line.run_program(half_stage(job, program))
    table = line.run(Calibrate(program, job.config.calibration.method, calibration_data(job)))
    return line.run_program(quantize_stage(job, program, table, scheme))


def selection_for(job: Job) -> Selection:
    """The rewriters of a run.

    Raises:
        UsageError: The config names one that does not exist, cannot be used here, or rivals another.
        CompileError: A plug-in changed since the job was read.
    """
    config = job.config
    target = Target(
        backend=job.backend.name,
        ir=job.backend.PROGRAM.IR,
        precision=config.precision,
        algo=config.model.algo,
        exporter=config.exporter,
        opset=config.export.opset,
        batch=config.fixed_batch,
        versions={**versions(), job.backend.name: job.probe.version},
    )
    selection = select_rewriters(target, config.rewriters.disable, config.rewriters.require)
    if not job.plug_ins.items() <= plug_in_contents().items():
        raise changed("rewriters", "an installed plug-in")
    return job.source.rewritable_by(selection)


def export_stage(job: Job, network: LoadedNetwork, selection: Selection) -> Export:
    """The export, traced with what the proof is made on."""
    config, task = job.config, job.task
    batch = config.fixed_batch or EXPORT_BATCH
    rewriters = Rewriters.of_network(selection)
    return Export(
        network=network.under(rewriters.selection),
        example=Samples.of(_tensors(job, batch, _traced_size(config.sizes))),
        others=tuple(map(Samples.of, _other_inputs(job))),
        kind=job.backend.PROGRAM.IR,
        exporter=config.exporter,
        opset=config.export.opset,
        axes=_varying_axes(config, task),
        rewriters=rewriters,
        comparable=job.proof.comparable,
        ties=job.proof,
    )


def calibration_data(job: Job) -> CalibrationData:
    """What int8 takes its ranges from."""
    return CalibrationData(
        items=job.calibration_items,
        proof=job.proof,
        usual=job.config.usual_input,
        sample=None if job.calibration else job.sample,
        files=job.calibration,
        limits=job.config.limits,
    )


def quantize_stage(job: Job, program: ProgramArtifact, table: Artifact, scheme: QuantizationScheme) -> Quantize:
    """The Program in int8."""
    return Quantize(
        program=program,
        table=table,
        scheme=scheme,
        keep_fp32=job.config.keep_fp32,
        judge=job.backend.simulation if job.config.calibration.auto else None,
        tolerance=proof_tolerance(job.config),
        usual=_usual(job),
    )


def half_stage(job: Job, program: ProgramArtifact) -> ReduceToHalf:
    """The Program in 16 bits."""
    config = job.config
    return ReduceToHalf(program, config.precision, config.keep_fp32, config.verify.reduced_tolerance, _usual(job))


def build_stage(job: Job, program: ProgramArtifact, listen: Listener) -> Build:
    """The engine."""
    return Build(
        program=program,
        backend=job.backend,
        probe=job.probe,
        precision=job.config.precision,
        profiles=engine_profiles(job.config, job.backend, job.proof, job.sample),
        calibration=calibration_data(job) if job.quantizes_by_itself else None,
        keep_fp32=job.config.keep_fp32 if job.backend.lowers(job.config.precision) else (),
        measurements=measurements_folder(job.cache),
        progress=progress_to(listen),
    )


def reference_stage(job: Job, network: LoadedNetwork) -> RunReference:
    """What all proofs are held against."""
    return RunReference(network, real_input(job.config, job.proof, job.sample))


def compare_stage(job: Job, steps: Steps, reference: Artifact) -> Compare:
    """The proof of the Program as it was exported."""
    rewriters = Rewriters.of_network(steps.selection)
    return Compare(
        network=steps.network.under(rewriters.selection),
        reference=reference,
        rewriters=rewriters,
        exported=steps.exported,
        given=real_input(job.config, job.proof, job.sample),
        tolerance=tolerance_of(job.config, job.source.own_precision.name),
        lossy_tolerance=lossy_tolerance(job.config),
    )


def verify_stage(job: Job, steps: Steps, comparing: Compare, compared: Artifact, engine: Artifact) -> Verify:
    """The proof of all that comes behind it."""
    config = job.config
    return Verify(
        reference=comparing.reference,
        compared=compared,
        comparing=comparing,
        exported=steps.exported,
        rewriters=Rewriters.of_graph(steps.selection),
        rewritten=steps.rewritten,
        reduced=steps.reduced,
        precision=config.precision,
        skipped=steps.selection.entries,
        required=config.rewriters.require,
        engine=engine,
        backend=job.backend if not job.probe.run_problem or job.backend.STAND_IN else None,
        stands_in=bool(job.probe.run_problem and job.backend.STAND_IN),
        given=real_input(config, job.proof, job.sample),
        tolerance=tolerance_of(config, job.source.own_precision.name),
        reduced_tolerance=proof_tolerance(config),
        pictures=Pictures(job.source.PICTURE, engine_picture(job.backend, job.probe)),
        measurements=measurements_folder(job.cache),
    )


def real_input(config: CompileConfig, proof: AnyProof, sample: AnySample) -> RealInput:
    """What a proof is made on."""
    return RealInput(proof, sample, config.proof_inputs, config.usual_input, config.sizes, config.batch.largest)


def engine_profiles(config: CompileConfig, backend: Backend, proof: AnyProof, sample: AnySample) -> tuple[Profile, ...]:
    """The shapes of the smallest, the usual and the largest input; none where the backend does not ask for them."""
    if not backend.PROFILED:
        return ()
    sizes = config.proof_inputs[0], config.usual_input, config.proof_inputs[-1]
    batches = {size: proof.samples(sample, size.batch, size.size).tensors for size in dict.fromkeys(sizes)}
    shapes = {size: {name: tensor.shape for name, tensor in batch.items()} for size, batch in batches.items()}
    return (Profile(*(shapes[size] for size in sizes)),)


def engine_picture(backend: Backend, probe: Probe) -> str:
    """The file name of the picture of the engine's results; of the Program's, where nothing stands in for it."""
    return f"output_{'program' if probe.run_problem and not backend.STAND_IN else backend.name}.jpg"


def progress_to(listen: Listener) -> Callable[[float, str], None]:
    """What a builder tells its progress to."""
    return lambda share, phase: listen(StageProgressed(share, phase))


def rewriting_of(job: Job, selection: Selection) -> Rewriting:
    """What is done to the network before it is exported or compared."""
    smallest = job.config.proof_inputs[0]
    observed = Samples.of(_tensors(job, smallest.batch, smallest.size))
    tail = job.config.model.tail
    return Rewriting(tail, code_digest(modules_named(tail)), job.task.outputs, observed, selection)


def speed_stage(job: Job, engine: Artifact, in_fp32: Artifact) -> MeasureSpeed:
    """What the precision gains on this machine."""
    return MeasureSpeed(engine, in_fp32, job.config.precision, job.backend, _usual(job), job.backend.machine())


def _usual(job: Job) -> Samples:
    usual = job.config.usual_input
    return Samples.of(_tensors(job, usual.batch, usual.size))


def _tensors(job: Job, batch: int, size: Size) -> Tensors:
    tensors: Tensors = job.proof.samples(job.sample, batch, size).tensors
    return tensors


def _traced_size(sizes: SizeRange) -> Size:
    """The usual size, in which what varies is above one: exporters freeze a dimension of one."""
    return tuple(max(side, min(EXPORT_BATCH, most)) for side, most in zip(sizes.usual, sizes.largest, strict=True))


def _varying_axes(config: CompileConfig, task: AnyTask) -> Mapping[str, tuple[Axis, ...]]:
    """The dimensions of each input that vary: the batch, and the sides of which there are several lengths."""
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
        name: tuple(varying[axis](position) for position, axis in axes.items() if axis in varying)
        for name, axes in task.axes.items()
    }


def _other_inputs(job: Job) -> Iterator[Tensors]:
    """Yield inputs with other values; where sizes vary, of the smallest, and of one that differs along every side."""
    config, sizes = job.config, job.config.sizes
    if config.resolved_shape.dynamic:
        steps = [(2 + index) * stride for index, stride in enumerate(sizes.stride)]
        between = map(min, map(add, sizes.smallest, steps), sizes.largest)
        for batch, size in ((config.batch.smallest, sizes.smallest), (EXPORT_BATCH + 1, tuple(between))):
            yield _tensors(job, batch, size)
    else:
        yield job.proof.other_samples(job.sample, config.batch.usual, sizes.usual)
