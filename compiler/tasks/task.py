"""What every task is: reads its input, prepares it, decodes what the network makes of it, draws the results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.config.instantiate import instantiate
from compiler.tasks.boxes import read_boxes
from compiler.tasks.images import Image, read_image

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from compiler.config.sizes import Size, SizeRange


class Prepared(Protocol):
    """A batch that is ready for a network, with whatever the task needs to decode what comes out of it."""

    @property
    def tensors(self) -> Tensors:
        """The network's inputs, by the names in `Task.inputs`."""


class Result(Protocol):
    """One thing that was found in an image or a point cloud."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""


SourceT = TypeVar("SourceT", bound=NDArray[Any] | Mapping[str, NDArray[Any]])
PreparedT = TypeVar("PreparedT", bound=Prepared)
ResultT = TypeVar("ResultT", bound=Result)


class Task(ABC, Generic[SourceT, PreparedT, ResultT]):
    """A kind of problem, with the settings of one model for it.

    Running a model is `prepared = task.preprocess(source, boxes, sizes)`, the network on `prepared.tensors` by
    `task.infer`, and `task.decode(outputs, prepared)`.

    A task is a frozen dataclass whose fields are the keys of its config node; see `build_task`.
    """

    name: ClassVar[str]
    """As in the first part of a deploy name."""
    unit: ClassVar[str]
    """Of what `difference` returns."""
    source: ClassVar[str]
    """What it looks at: an `image`, the `points` of a cloud, or `arrays` as they are."""
    sides: ClassVar[tuple[str, ...]]
    """Names of the sides of a `Size`."""
    axes: ClassVar[Mapping[str, Mapping[int, str]]]
    """For each of the network's inputs, in order: the dimensions that can vary, each `batch` or one of `sides`."""
    sdk_task: ClassVar[str]
    """What MMDeploy's SDK calls the task, the `task` of `deploy.json`."""
    sdk_model: ClassVar[str]
    """What MMDeploy's SDK calls the network, the `models[0].name` of `deploy.json`."""

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
    def read(self, source: str | PathLike[str] | SourceT) -> SourceT:
        """Read what the task looks at from a file, or take it from an array.

        Raises:
            CompileError: The file is missing or is something else, or the array has another shape or type.
        """

    @abstractmethod
    def read_boxes(self, box: Any, source: SourceT) -> NDArray[np.float32] | None:
        """Read where the objects are from the config's `box`; None where it is left out.

        Raises:
            CompileError: The boxes cannot be read, lie outside of the source, or the task looks at whole sources only.
        """

    @abstractmethod
    def preprocess(
        self, source: SourceT, boxes: NDArray[np.floating[Any]] | None, sizes: SizeRange | None = None
    ) -> PreparedT:
        """Make network inputs from what the task looks at.

        Args:
            source: An image, `[h, w, 3]`, BGR; or points, `[n, d]`.
            boxes: `[n, 4]` as x1, y1, x2, y2 in pixels, each of which becomes one item of the batch; None stands for
                the whole image.
            sizes: What the engine takes; None for any size that the model's own pipeline makes.

        Raises:
            ValueError: The source or the boxes have another shape.
            CompileError: The task looks at whole images, and is given boxes; or nothing of the source can be used.
        """

    @abstractmethod
    def decode(self, outputs: Tensors, prepared: PreparedT) -> list[ResultT]:
        """Turn the network's raw outputs into results in the source's own pixels or metres.

        Raises:
            ValueError: The outputs do not have the shapes that the settings call for.
        """

    def infer(self, run: Callable[[Tensors], Tensors], tensors: Tensors) -> Tensors:
        """Return the raw outputs of `run` for the network's inputs; a test-time augmentation runs it several times."""
        return run(tensors)

    def comparable(self, outputs: Tensors, like: Tensors) -> Tensors:
        """Return raw outputs in the form in which the proof compares them.

        Args:
            outputs: What a stage gave.
            like: What the reference gave: where rounding may change the order of items, they are put in its order.
        """
        return outputs

    @abstractmethod
    def difference(self, a: Sequence[ResultT], b: Sequence[ResultT]) -> float:
        """Return how far two lists of results for one input are apart, in `unit`; infinity if they cannot be paired."""

    @abstractmethod
    def draw(self, source: SourceT, results: Sequence[ResultT]) -> Image:
        """Return a BGR picture of the source with the results drawn on it."""

    @abstractmethod
    def samples(self, source: SourceT, boxes: NDArray[np.floating[Any]] | None, count: int, size: Size) -> PreparedT:
        """Make a batch of `count` distinct items of `size` out of one source; the same arguments, the same batch."""

    def other_samples(
        self, source: SourceT, boxes: NDArray[np.floating[Any]] | None, count: int, size: Size
    ) -> Tensors:
        """Return the inputs of a batch as `samples` makes it, of other items."""
        more = self.samples(source, boxes, count + 1, size).tensors
        return {name: tensor[1:] if self.axes[name].get(0) == "batch" else tensor for name, tensor in more.items()}

    @abstractmethod
    def sample_source(self) -> Path:
        """Return the file that stands in where the user gives none."""

    @abstractmethod
    def sdk_pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any] | None:
        """Return what `pipeline.json` holds, so that MMDeploy's SDK prepares and decodes as this task does.

        None where the SDK has no such task.

        Args:
            batched: Whether the engine takes more than one item at once.
            sizes: What the engine takes; None for any size that the model's own pipeline makes.
        """

    @abstractmethod
    def sdk_codebase(self) -> dict[str, Any]:
        """Return the `codebase_config` of `detail.json`: the OpenMMLab codebase (`type`) and its `task`."""


AnyTask = Task[Any, Any, Any]
"""A task whose kind of results does not matter to the caller."""


class ImageTask(Task[Image, PreparedT, ResultT]):
    """A task that looks at an image, or at boxes in it."""

    source: ClassVar[str] = "image"
    sides: ClassVar[tuple[str, ...]] = ("height", "width")
    axes: ClassVar[Mapping[str, Mapping[int, str]]] = {"input": {0: "batch", 2: "height", 3: "width"}}

    def read(self, source: str | PathLike[str] | NDArray[Any]) -> Image:
        """Read an image, `[h, w, 3]`, BGR; see `read_image`."""
        return read_image(source)

    def read_boxes(self, box: Any, source: Image) -> NDArray[np.float32] | None:
        """Read boxes, `[n, 4]`; see `compiler.tasks.boxes.read_boxes`."""
        return None if box is None else read_boxes(box, (source.shape[1], source.shape[0]))


def build_task(node: Mapping[str, Any]) -> AnyTask:
    """Build the task that a config node describes, without Hydra.

    Args:
        node: The `processing` node of a model config: `_target_` names the task's class, the other keys its fields.

    Raises:
        UsageError: The class does not exist, or a key is unknown, missing or of the wrong type. The error names it.
    """
    return instantiate(node, Task, "model.processing")  # type: ignore[type-abstract]
