"""What every task is: reads its input, prepares it, decodes what the network makes of it, draws the results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.config.instantiate import instantiate
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.tasks.boxes import read_boxes
from compiler.tasks.images import Image, read_image
from compiler.tasks.inputs import IMAGE, InputKind
from compiler.tasks.sample import Sample, SourceT

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from compiler.config.sizes import SizeRange


class Prepared(Protocol):
    """A batch that is ready for a network, with whatever the task needs to decode what comes out of it."""

    @property
    def tensors(self) -> Tensors:
        """The network's inputs, by the names in `Task.inputs`."""


class Result(Protocol):
    """One thing that was found in an image or a point cloud."""

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON can hold it."""


PreparedT = TypeVar("PreparedT", bound=Prepared)
ResultT = TypeVar("ResultT", bound=Result)


class Task(ABC, Generic[SourceT, PreparedT, ResultT]):
    """A kind of problem, with the settings of one model for it: all that running the model needs.

    Running a model is `prepared = task.preprocess(sample, sizes)`, the network on `prepared.tensors` by `task.infer`,
    and `task.decode(outputs, prepared)`.

    A task is a frozen dataclass whose fields are the keys of its config node; see `build_task`.
    """

    name: ClassVar[str]
    """As in the first part of a deploy name."""
    proof: ClassVar[str]
    """What its results are compared by, as `package.module:Class`: a `compiler.proof.TaskProof`. Running a model never
    imports it."""
    looks_at: ClassVar[InputKind]
    """Its kind of input."""
    result_class: ClassVar[type[Any] | None] = None
    """What it finds: a dataclass whose `to_dict` gives its fields, arrays as lists, so that it can be kept.
    None where results are not."""
    takes_boxes: ClassVar[bool] = False
    """Whether it looks into boxes, each of which is one item of the batch; else at the whole of its source."""
    sides: ClassVar[tuple[str, ...]]
    """Names of the sides of a `Size`."""
    axes: ClassVar[Mapping[str, Mapping[int, str]]]
    """For each of the network's inputs, in order: the dimensions that can vary, each `batch` or one of `sides`."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the network's inputs, in order."""
        return tuple(self.axes)

    @property
    def batched(self) -> bool:
        """Whether the first axis of inputs and outputs counts items, so that a batch can be taken apart."""
        return all(names.get(0) == "batch" for names in self.axes.values())

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""

    @abstractmethod
    def read(
        self, source: str | PathLike[str] | SourceT, box: Any = None, limits: Limits = DEFAULT_LIMITS
    ) -> Sample[SourceT]:
        """The sample in a file or an array.

        Args:
            source: The file, or what is in it.
            box: Where the objects are, as the config's `box` says it; None where it is left out.
            limits: What the source may cost.

        Raises:
            CompileError: The file is missing or is something else, the array has another shape or type, the source is
                beyond the limits, the boxes cannot be read or lie outside of it, or the task looks at whole sources
                only.
        """

    @abstractmethod
    def preprocess(self, sample: Sample[SourceT], sizes: SizeRange | None = None) -> PreparedT:
        """The network's inputs for a sample.

        Args:
            sample: What the task looks at.
            sizes: What the engine takes; None for any size that the model's own pipeline makes.

        Raises:
            ValueError: The source or the boxes have another shape.
            CompileError: The task looks at whole images, and is given boxes; or nothing of the source can be used.
        """

    @abstractmethod
    def decode(self, outputs: Tensors, prepared: PreparedT) -> list[ResultT]:
        """The results in the network's raw outputs, in the source's own pixels or metres.

        Raises:
            ValueError: The outputs do not have the shapes that the settings call for.
        """

    def infer(self, run: Callable[[Tensors], Tensors], tensors: Tensors) -> Tensors:
        """The raw outputs of `run` for the network's inputs; a test-time augmentation runs it several times."""
        return run(tensors)

    @abstractmethod
    def draw(self, sample: Sample[SourceT], results: Sequence[ResultT]) -> Image:
        """A BGR picture of the sample with the results drawn on it."""

    @abstractmethod
    def sample_source(self) -> Path:
        """The file that stands in where the user gives none."""


AnyTask = Task[Any, Any, Any]
"""A task whose kind of results does not matter to the caller."""


class ImageTask(Task[Image, PreparedT, ResultT]):
    """A task that looks at an image, or at boxes in it."""

    ignore_orientation: bool = False
    """Whether files are read as their pixels lie, and not turned upright as their EXIF orientation says."""
    looks_at: ClassVar[InputKind] = IMAGE
    takes_boxes: ClassVar[bool] = True
    sides: ClassVar[tuple[str, ...]] = ("height", "width")
    axes: ClassVar[Mapping[str, Mapping[int, str]]] = {"input": {0: "batch", 2: "height", 3: "width"}}

    def read(
        self, source: str | PathLike[str] | NDArray[Any], box: Any = None, limits: Limits = DEFAULT_LIMITS
    ) -> Sample[Image]:
        """An image, `[h, w, 3]`, BGR, and boxes in it, `[n, 4]`; see `read_image` and `read_boxes`."""
        image = read_image(source, limits, ignore_orientation=self.ignore_orientation)
        return Sample(image, None if box is None else read_boxes(box, (image.shape[1], image.shape[0])))


def build_task(node: Mapping[str, Any]) -> AnyTask:
    """The task that a config node describes, built without Hydra.

    Args:
        node: The `processing` node of a model config: `_target_` names the task's class, the other keys its fields.

    Raises:
        UsageError: The class does not exist, or a key is unknown, missing or of the wrong type. The error names it.
    """
    return instantiate(node, Task, "model.processing")  # type: ignore[type-abstract]
