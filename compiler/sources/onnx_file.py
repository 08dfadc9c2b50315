"""A network that somebody exported: an ONNX file, which only the graph rewriters can change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from compiler.artifact import Dimension, OnnxProgram, Tensors, reading
from compiler.backends.onnxruntime import OnnxRuntime
from compiler.config import CompileConfig
from compiler.config.limits import Limits
from compiler.config.schema import ExportConfig
from compiler.config.sizes import InputSize
from compiler.errors import CompileError, UsageError
from compiler.export import Comparable, ExportOptions
from compiler.graphs import (
    ONNX_FILE,
    OnnxModelFile,
    OnnxRuntimeSession,
    Trial,
    default_opset,
    describe,
    newest_runnable_opset,
    take_over,
    with_opset,
)
from compiler.graphs.onnx_files import EXPORT_AGAIN
from compiler.precision.own import OwnPrecision, own_precision
from compiler.proof import Run, proof_of
from compiler.sources.axes import with_axes
from compiler.sources.onnx_axes import input_settings
from compiler.sources.onnx_inputs import check_outputs
from compiler.sources.onnx_precision import SMALLEST_OPSETS, in_own_precision, opset_caution, precision_caution
from compiler.sources.source import (
    Network,
    Rewriting,
    Source,
    Weights,
    with_processing,
)
from compiler.tasks import AnySample, AnyTask, build_task
from compiler.tasks.arrays.spec import BATCH, InputSpec
from compiler.tasks.arrays.task import RawTensors
from rewriters import Entry, Selection
from rewriters.ledger import skipped_entry

ORIGINAL_FILE = "original.onnx"
STEP = "file"
NO_TORCH = "the network is an ONNX file, which has neither modules nor functions of torch"


@dataclass(frozen=True)
class OnnxFile(Source):
    """What is in an ONNX file.

    Attributes:
        digest: Of its content, wherever it lies.
        file: Read, and whole.
        limits: What running it may cost.
    """

    PICTURE: ClassVar[str] = "output_file.jpg"
    TOOLS: ClassVar[tuple[str, ...]] = ("onnx", "onnxruntime")

    digest: str
    file: OnnxModelFile = field(compare=False)
    limits: Limits = field(compare=False)

    @classmethod
    def of(cls, file: OnnxModelFile, limits: Limits) -> OnnxFile:
        """A file, with its digest."""
        return cls(file.digest, file, limits)

    @cached_property
    def own_precision(self) -> OwnPrecision:
        """See `Source`."""
        with self.file.unchanged():
            return own_precision(self.file.model, Trial(self.file.path, {}, (), self.limits).types)

    @property
    def caution(self) -> str:
        """See `Source`: a file has its weights; but it may be in another precision or opset than one thinks."""
        return ". ".join(filter(None, (precision_caution(self.own_precision), opset_caution(self.file))))

    @property
    def own_weights(self) -> str:
        """See `Source`."""
        return str(self.file.path)

    def with_inputs(self, config: CompileConfig) -> CompileConfig:
        """Fill in the file's inputs and its opset, and refuse what only a network of torch can be told."""
        if config.checkpoint is not None:
            raise UsageError(
                "an ONNX file has its weights already",
                where=f"checkpoint={config.checkpoint}",
                fix="leave checkpoint out, or export the network again with other weights",
            )
        if config.export != ExportConfig():
            raise UsageError(
                "an ONNX file is taken over as it is",
                where="export",
                why=f"{self.file.path.name} is of opset {self.file.opset}, and nothing is exported",
                fix="leave export.exporter and export.opset out",
            )
        if config.backend_facts.PROGRAM.IR != OnnxProgram.IR:
            raise UsageError(
                f"{config.backend['name']} cannot be given an ONNX file",
                where=f"backend={config.backend['name']} model.file={self.file.path}",
                why=f"it reads {config.backend_facts.PROGRAM.IR}, which is traced from a network of torch",
                fix="give the network itself, as model=torch, or choose a backend that reads ONNX",
            )
        with reading(self.file.path, f"{self.file.path.name} is not a valid ONNX file", fix=EXPORT_AGAIN):
            config = in_own_precision(config, self.own_precision, self.file)
            check_outputs(self.file)
            settings = input_settings(self.file, config)
        shapes, lengths = dict(settings.shapes), dict(settings.axis_lengths)
        model = replace(config.model, inputs=shapes, axes=lengths)
        export = replace(config.export, opset=self._opset(config.precision))
        config = with_processing(replace(config, model=model, export=export), shapes=shapes, axis_lengths=lengths)
        task = build_task(config.model.processing)
        return with_axes(config, task) if isinstance(task, RawTensors) else config

    def _opset(self, precision: str) -> int:
        """What the Program is in: the file's own, or what its precision is to be written with."""
        own = min(self.file.opset, newest_runnable_opset())
        return own if precision == self.own_precision.name else max(own, SMALLEST_OPSETS[precision])

    def with_outputs(self, config: CompileConfig, task: AnyTask, sample: AnySample) -> tuple[CompileConfig, OnnxFile]:
        """Run the file in a process of its own, and fill in its outputs and whether they count items."""
        usual, fewest = config.sizes.usual, config.batch.smallest
        trials = () if config.fixed_batch else (InputSize(fewest, usual), InputSize(fewest + 1, usual))
        sizes = tuple(dict.fromkeys((*trials, *config.proof_inputs)))
        proof = proof_of(task)
        inputs = [proof.samples(sample, one.batch, one.size).tensors for one in sizes]
        with self.file.unchanged():
            self._check_operators()
            shapes, opset = _input_shapes(task, config.fixed_batch), config.export.opset
            found = Trial(self.file.path, shapes, inputs, config.limits, opset).run()
        counted = all(
            shape[:1] == (one.batch,) for run, one in zip(found, sizes, strict=True) for shape in run.values()
        )
        return with_processing(config, outputs=list(found[0]), counted=counted), self

    def _check_operators(self) -> None:
        """Refuse operators that ONNX Runtime cannot run, as the proof does."""
        with reading(self.file.path, f"{self.file.path.name} is not a valid ONNX file", fix=EXPORT_AGAIN):
            unknown = OnnxRuntime(name="onnxruntime").plan(describe(self.file.path))
        if unknown:
            raise CompileError(
                f"ONNX Runtime does not know {len(unknown)} operators of the file",
                where=", ".join(f"{obstacle.operator} ({obstacle.node})" for obstacle in unknown[:5]),
                why="it runs the file for the proof, whatever the backend is",
                fix="export the network without them",
            )

    def rewritable_by(self, selection: Selection) -> Selection:
        """Leave only the graph rewriters."""
        skipped = (skipped_entry(rewriter, NO_TORCH) for rewriter in selection.of_network)
        return replace(selection, functions=(), modules=(), fusions=(), entries=(*selection.entries, *skipped))

    def load(self, weights: Weights, folder: Path) -> str:
        """Write the file with all of its weights in it."""
        model = self.file.gathered()
        (folder / ORIGINAL_FILE).write_bytes(model.SerializeToString())
        own, runnable = self.file.opset, default_opset(model)
        versions = f", opset {own} brought to {runnable}" if own != runnable else ""
        return f"{self.file.parameters / 1e6:.1f} M parameters, {self.file.path.name}{versions}"

    def network(self, folder: Path, rewriting: Rewriting, task: AnyTask) -> FileNetwork:
        """The file, as a network."""
        return FileNetwork(folder, _input_shapes(task, rewriting.selection.target.batch))


def _input_shapes(task: AnyTask, batch: int | None) -> dict[str, tuple[Dimension, ...]]:
    """The shapes of the inputs, by name; None for a batch that varies."""
    items: Dimension = batch or BATCH
    specs: tuple[InputSpec, ...] = task.specs  # type: ignore[attr-defined]
    return {spec.name: tuple(items if axis == BATCH else axis for axis in spec.shape) for spec in specs}


@dataclass(frozen=True, eq=False)
class FileNetwork(Network):
    """An ONNX file, run as it is: with ONNX Runtime's optimiser off.

    Attributes:
        folder: Of the load stage.
        shapes: Of its inputs, by name.
    """

    folder: Path
    shapes: Mapping[str, tuple[Dimension, ...]]

    def export(
        self,
        kind: str,
        example: Tensors,
        others: Iterable[Tensors],
        options: ExportOptions,
        comparable: Comparable,
        folder: Path,
    ) -> str:
        """Take the file over."""
        import onnx

        original = self.folder / ORIGINAL_FILE
        with reading(original, "the ONNX file cannot be taken over", fix=EXPORT_AGAIN):
            model = onnx.load(original)
            own = default_opset(model)
            program = take_over(with_opset(model, options.opset, "precision"), self.shapes, folder / ONNX_FILE)
        program.save()
        versions = f"{own} as it was" if own == program.opset else f"{own} converted to {program.opset}"
        return f"ONNX opset {versions}, {program.nodes} nodes"

    def measured(self, tensors: Tensors) -> tuple[None, Iterable[Entry]]:
        """Nothing: there is no torch to rewrite."""
        return None, ()

    def steps(self) -> list[tuple[str, Run]]:
        """The file alone."""
        return [(STEP, self._run)]

    def _run(self, tensors: Tensors) -> Tensors:
        return self._session.run(tensors)

    @cached_property
    def _session(self) -> OnnxRuntimeSession:
        return OnnxRuntimeSession.as_written(self.folder / ORIGINAL_FILE)
