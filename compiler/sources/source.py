"""Where the network of a compile comes from: a model of ours, the user's own code, or an ONNX file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from compiler.config import CompileConfig
from compiler.errors import CompileError
from compiler.proof import Run
from compiler.tasks import AnySample, AnyTask
from rewriters import Entry, Selection

if TYPE_CHECKING:
    from compiler.artifact import Tensors
    from compiler.pipeline.job import Job


@dataclass(frozen=True)
class Network(ABC):
    """A loaded network, as the stages behind `load` need it.

    Attributes:
        job: Describes it.
        selection: Rewrites it.
        folder: Of the load stage.
    """

    job: Job
    selection: Selection
    folder: Path

    @abstractmethod
    def export(self, folder: Path) -> str:
        """Write the Program, and say in a few words what came out."""

    @abstractmethod
    def entries(self, tensors: Tensors) -> Iterable[Entry]:
        """Return what the function and module rewriters do to these inputs."""

    @abstractmethod
    def stages(self) -> list[tuple[str, Run]]:
        """Return what everything is compared with, and after it what comes before the Program."""


class Origin(ABC):
    """What makes a network."""

    picture: ClassVar[str] = "output_pytorch.jpg"
    """The file name of the picture that the network's own results are drawn in."""
    tools: ClassVar[tuple[str, ...]] = ("torch", "numpy")
    """The libraries that the loaded network depends on."""

    @property
    @abstractmethod
    def caution(self) -> str:
        """What a user has to know where no checkpoint is given; empty where nothing."""

    @property
    def digest(self) -> str:
        """The digest of what the user brings; empty where it is nothing."""
        return ""

    @property
    def weights(self) -> str:
        """Where the weights come from without a checkpoint; empty where they are drawn."""
        return ""

    def with_inputs(self, config: CompileConfig) -> CompileConfig:
        """Return the config with what is known about the network before there is any input.

        Raises:
            UsageError: The config and the network contradict each other.
            CompileError: The network cannot be read.
        """
        return config

    def with_outputs(self, config: CompileConfig, task: AnyTask, sample: AnySample) -> CompileConfig:
        """Return the config with what only running the network can tell.

        Args:
            config: See `with_inputs`.
            task: As that config has it.
            sample: What the task looks at.

        Raises:
            UsageError: The network cannot be made, or takes other inputs.
            CompileError: It fails on its inputs, or what it returns cannot be the outputs of an engine.
        """
        return config

    def rewritable_by(self, selection: Selection) -> Selection:
        """Return a selection without the rewriters that have nothing to act on."""
        return selection

    @abstractmethod
    def load(self, job: Job, folder: Path) -> str:
        """Write what the other stages need of the network, and say in a few words what it is."""

    @abstractmethod
    def network(self, job: Job, selection: Selection, folder: Path) -> Network:
        """Return the network that `load` wrote to a folder; it is built when it is first needed."""


def find_origin(config: CompileConfig) -> Origin:
    """Return where a config's network comes from.

    Raises:
        UsageError: The user's own code or file is not named, or cannot be used.
        CompileError: The file cannot be read.
    """
    from compiler.export import read_onnx_file
    from compiler.sources.model import Models
    from compiler.sources.onnx_file import OnnxFile
    from compiler.sources.user_module import OwnCode

    model = config.model
    if model.network:
        return Models(model)
    return OwnCode(model) if model.file is None else OnnxFile(read_onnx_file(Path(model.file)))


def with_processing(config: CompileConfig, **values: Any) -> CompileConfig:
    """Return the config with other settings of its task."""
    processing = {**config.model.processing, **values}
    return replace(config, model=replace(config.model, processing=processing))


def refuse_single_number(output: str, dimensions: int, where: str) -> None:
    """Check that an output of the user's own network has a first axis.

    Raises:
        CompileError: It has no axis at all.
    """
    if dimensions == 0:
        raise CompileError(
            f"the output {output} is a single number",
            where=f"{where}, output {output}",
            why="the first axis of an output counts items",
            fix="let the network give one number for each item, or leave the output out",
        )


def first_line(error: Exception) -> str:
    """Return what an error of the user's own code, or of a library, says first."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
