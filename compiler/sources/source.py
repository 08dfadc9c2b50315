"""What every source of a network is, and the network that it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from compiler.artifact import InputFile, Tensors
from compiler.config import CompileConfig
from compiler.precision.own import IN_FP32, OwnPrecision
from compiler.proof import Run
from compiler.sources.samples import Samples
from compiler.tasks import AnySample, AnyTask
from rewriters import Entry, Selection

if TYPE_CHECKING:
    from compiler.export import Comparable, ExportOptions


@dataclass(frozen=True)
class Checkpoint(InputFile):
    """Trained weights."""


@dataclass(frozen=True)
class RandomWeights:
    """Weights that nobody trained.

    Attributes:
        scaled_to: The real inputs that they are scaled to.
    """

    scaled_to: Samples


Weights = Checkpoint | RandomWeights | None
"""What a network's weights are; None for those that it comes with."""


@dataclass(frozen=True)
class Rewriting:
    """What is done to a network before it is exported or compared.

    Attributes:
        tail: What follows its raw outputs, as a config node; None for nothing.
        tail_code: The digest of its classes that are not ours, with all that they import.
        outputs: The names of its outputs, in order.
        observed: The inputs that it is run on once, for rewriters that look at what is really there.
        selection: Rewrites it.
    """

    tail: Mapping[str, Any] | None
    tail_code: str
    outputs: tuple[str, ...]
    observed: Samples
    selection: Selection = field(compare=False)


class Network(ABC):
    """A loaded network, as the stages behind `load` need it."""

    @abstractmethod
    def export(
        self,
        kind: str,
        example: Tensors,
        others: Iterable[Tensors],
        options: ExportOptions,
        comparable: Comparable,
        folder: Path,
    ) -> str:
        """Write a Program of a kind, with its sidecar, and say in a few words what came out."""

    @abstractmethod
    def measured(self, tensors: Tensors) -> tuple[Tensors | None, Iterable[Entry]]:
        """What the rewritten network gives for an input, and what each function and module rewriter did on the way; no
        outputs where there is no rewritten network."""

    @abstractmethod
    def steps(self) -> list[tuple[str, Run]]:
        """What everything is compared with, and after it what comes before the Program."""

    def open_steps(self) -> Mapping[str, Run]:
        """The steps with their selection open, by name; none where they select nothing."""
        return {}

    def candidate_steps(self) -> Mapping[str, Run]:
        """The steps, run for what they select from, by name; none where that is not known."""
        return {}


class Source(ABC):
    """Where a network comes from: a frozen dataclass whose fields are all that the network depends on."""

    PICTURE: ClassVar[str] = "output_pytorch.jpg"
    """The file name of the picture that the network's own results are drawn in."""
    TOOLS: ClassVar[tuple[str, ...]] = ("torch", "numpy", "safetensors")
    """The libraries that the loaded network depends on."""

    @property
    @abstractmethod
    def caution(self) -> str:
        """What a user has to know where no checkpoint is given; empty where nothing."""

    @property
    def own_weights(self) -> str:
        """Where the weights come from without a checkpoint; empty where they are random."""
        return ""

    @property
    def own_precision(self) -> OwnPrecision:
        """What the network computes in as it is given."""
        return IN_FP32

    def with_inputs(self, config: CompileConfig) -> CompileConfig:
        """The config with what is known about the network before there is any input.

        Raises:
            UsageError: The config and the network contradict each other.
            CompileError: The network cannot be read.
        """
        return config

    def with_outputs(self, config: CompileConfig, task: AnyTask, sample: AnySample) -> tuple[CompileConfig, Source]:
        """The config and the source with what only running the network can tell.

        Args:
            config: See `with_inputs`.
            task: As that config has it.
            sample: What the task looks at.

        Raises:
            UsageError: The network cannot be made, or takes other inputs.
            CompileError: It fails on its inputs, or what it returns cannot be the outputs of an engine.
        """
        return config, self

    def random_weights(self, config: CompileConfig) -> RandomWeights | None:
        """What stands in for a checkpoint; None where the network comes with weights of its own."""
        return None

    def rewritable_by(self, selection: Selection) -> Selection:
        """A selection without the rewriters that have nothing to act on."""
        return selection

    @abstractmethod
    def load(self, weights: Weights, folder: Path) -> str:
        """Write what the other stages need of the network, and say in a few words what it is."""

    @abstractmethod
    def network(self, folder: Path, rewriting: Rewriting, task: AnyTask) -> Network:
        """The network that `load` wrote to a folder; it is built when it is first needed."""


def find_source(config: CompileConfig) -> Source:
    """Where a config's network comes from.

    Raises:
        UsageError: The user's own code or file is not named, or cannot be used.
        CompileError: The file cannot be read.
    """
    from compiler.graphs import read_onnx_file
    from compiler.sources.model import ModelNetwork
    from compiler.sources.onnx_file import OnnxFile
    from compiler.sources.user_module import UserModule

    model = config.model
    if model.network:
        return ModelNetwork(model.network, is_published=bool(model.official.url))
    if model.file is None:
        return UserModule(model.target, model.inputs, model.kwargs)
    return OnnxFile.of(read_onnx_file(Path(model.file)), config.limits)


def with_processing(config: CompileConfig, **values: Any) -> CompileConfig:
    """The config with other settings of its task."""
    processing = {**config.model.processing, **values}
    return replace(config, model=replace(config.model, processing=processing))


def first_line(error: Exception) -> str:
    """What an error of the user's own code, or of a library, says first."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
