"""A network that somebody exported: an ONNX file, which only the graph rewriters can change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.artifact import Dimension, Tensors
from compiler.backends.onnxruntime import OnnxRuntime, OnnxRuntimeSession
from compiler.config import CompileConfig
from compiler.config.schema import ExportConfig
from compiler.errors import CompileError, UsageError
from compiler.export import ONNX_FILE, OnnxModelFile, describe, take_over
from compiler.proof import Run
from compiler.sources import Network, Origin, first_line, refuse_single_number, with_processing
from compiler.sources.onnx_inputs import check_outputs, input_texts
from compiler.tasks import AnyTask
from rewriters import Entry, Selection
from rewriters.ledger import skipped_entry

if TYPE_CHECKING:
    from compiler.pipeline.job import Job

ORIGINAL_FILE = "original.onnx"
STAGE = "file"
NO_TORCH = "the network is an ONNX file, which has neither modules nor functions of torch"


@dataclass(frozen=True)
class OnnxFile(Origin):
    """What is in an ONNX file.

    Attributes:
        file: Read, and whole.
    """

    picture = "output_file.jpg"
    tools = ("onnx",)

    file: OnnxModelFile

    @property
    def caution(self) -> str:
        """See `Origin`: a file has its weights."""
        return ""

    @property
    def digest(self) -> str:
        """See `Origin`: of the file's content, wherever it lies."""
        return self.file.digest

    @property
    def weights(self) -> str:
        """See `Origin`."""
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
        check_outputs(self.file)
        inputs = input_texts(self.file, config)
        model = replace(config.model, inputs=inputs)
        export = replace(config.export, opset=self.file.opset)
        return with_processing(replace(config, model=model, export=export), shapes=inputs)

    def with_outputs(self, config: CompileConfig, task: AnyTask, source: Any) -> CompileConfig:
        """Run the file, and fill in its outputs and whether they count items."""
        self._check_operators()
        session = OnnxRuntimeSession.as_written(self.file.path)
        counts = (config.fixed_batch,) if config.fixed_batch else (1, 2)
        found = [self._run(session, task.samples(source, None, count, ()).tensors) for count in counts]
        for name, array in found[0].items():
            refuse_single_number(name, array.ndim, str(self.file.path))
        counted = all(len(array) == count for run, count in zip(found, counts, strict=True) for array in run.values())
        return with_processing(config, outputs=list(found[0]), counted=counted)

    def _run(self, session: OnnxRuntimeSession, tensors: Tensors) -> Tensors:
        try:
            return session.run(tensors)
        except Exception as error:  # ONNX Runtime has no base class for its own exceptions
            shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
            raise CompileError(
                "the ONNX file fails on its inputs",
                where=str(self.file.path),
                why=f"{first_line(error)}, given {shapes}",
                fix="correct model.inputs; or where it takes no batch of another size, use shape=static",
            ) from error

    def _check_operators(self) -> None:
        """Refuse operators that ONNX Runtime cannot run, as the proof does."""
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
        others = (*selection.functions, *selection.modules)
        skipped = (skipped_entry(rewriter, NO_TORCH) for rewriter in others)
        return replace(selection, functions=(), modules=(), entries=(*selection.entries, *skipped))

    def load(self, job: Job, folder: Path) -> str:
        """Write the file with all of its weights in it."""
        (folder / ORIGINAL_FILE).write_bytes(self.file.gathered().SerializeToString())
        return f"{self.file.parameters / 1e6:.1f} M parameters, {self.file.path.name}"

    def network(self, job: Job, selection: Selection, folder: Path) -> FileNetwork:
        """Return the file, as a network."""
        return FileNetwork(job, selection, folder)


class FileNetwork(Network):
    """An ONNX file, run as it is: with ONNX Runtime's optimiser off."""

    def export(self, folder: Path) -> str:
        """Take the file over."""
        import onnx

        model = onnx.load(self.folder / ORIGINAL_FILE)
        program = take_over(model, self._shapes, folder / ONNX_FILE)
        return f"ONNX opset {program.opset} as it was, {program.nodes} nodes"

    def entries(self, tensors: Tensors) -> Iterable[Entry]:
        """Return nothing: there is no torch to rewrite."""
        return ()

    def stages(self) -> list[tuple[str, Run]]:
        """Return the file alone."""
        return [(STAGE, self._run)]

    def _run(self, tensors: Tensors) -> Tensors:
        return self._session.run(tensors)

    @cached_property
    def _session(self) -> OnnxRuntimeSession:
        return OnnxRuntimeSession.as_written(self.folder / ORIGINAL_FILE)

    @property
    def _shapes(self) -> Mapping[str, tuple[Dimension, ...]]:
        items: Dimension = self.job.config.fixed_batch or "batch"
        specs = self.job.task.specs  # type: ignore[attr-defined]
        return {spec.name: (items, *spec.shape) if spec.batched else spec.shape for spec in specs}
