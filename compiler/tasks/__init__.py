"""What lies around a network: from images to its inputs, and from its outputs to results.

Tasks need NumPy and OpenCV only, so that a bundle runs where PyTorch is not installed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.config.instantiate import instantiate

if TYPE_CHECKING:
    from pathlib import Path

    from compiler.config.sizes import Size, SizeRange
    from compiler.tasks.images import Image


class Prepared(Protocol):
    """A batch that is ready for a network, with whatever the task needs to decode what comes out of it."""

    @property
    def tensors(self) -> Tensors:
        """The network's inputs, by the names in `Task.inputs`; their first axis counts the items of the batch."""


class Result(Protocol):
    """One thing that was found in an image."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as JSON can hold it."""


PreparedT = TypeVar("PreparedT", bound=Prepared)
ResultT = TypeVar("ResultT", bound=Result)


class Task(ABC, Generic[PreparedT, ResultT]):
    """A kind of problem, with the settings of one model for it.

    Running a model is `prepared = task.preprocess(image, boxes, sizes)`, the network on `prepared.tensors` by
    `task.infer`, and `task.decode(outputs, prepared)`.

    A task is a frozen dataclass whose fields are the keys of its config node; see `build_task`.
    """

    name: ClassVar[str]
    """As in the first part of a deploy name."""
    unit: ClassVar[str]
    """Of what `difference` returns."""
    inputs: ClassVar[tuple[str, ...]]
    """Names of the network's inputs, in order."""
    sdk_task: ClassVar[str]
    """What MMDeploy's SDK calls the task, the `task` of `deploy.json`."""
    sdk_model: ClassVar[str]
    """What MMDeploy's SDK calls the network, the `models[0].name` of `deploy.json`."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""

    @abstractmethod
    def preprocess(
        self, image: Image, boxes: NDArray[np.floating[Any]] | None, sizes: SizeRange | None = None
    ) -> PreparedT:
        """Make network inputs from an image.

        Args:
            image: `[h, w, 3]`, BGR.
            boxes: `[n, 4]` as x1, y1, x2, y2 in pixels, each of which becomes one item of the batch; None stands for
                the whole image.
            sizes: What the engine takes; None for any size that the model's own pipeline makes.

        Raises:
            ValueError: The image or the boxes have another shape.
            CompileError: The task looks at whole images, and is given boxes.
        """

    @abstractmethod
    def decode(self, outputs: Tensors, prepared: PreparedT) -> list[ResultT]:
        """Turn the network's raw outputs into results in the image's own pixels.

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
    def draw(self, image: Image, results: Sequence[ResultT]) -> Image:
        """Return a copy of a BGR image with the results drawn on it."""

    @abstractmethod
    def samples(self, image: Image, boxes: NDArray[np.floating[Any]] | None, count: int, size: Size) -> PreparedT:
        """Make a batch of `count` distinct items of `size` out of one image; the same arguments give the same batch."""

    @abstractmethod
    def sample_image(self) -> Path:
        """Return the photograph that stands in where the user gives no image."""

    @abstractmethod
    def sdk_pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any]:
        """Return what `pipeline.json` holds, so that MMDeploy's SDK prepares and decodes as this task does.

        Args:
            batched: Whether the engine takes more than one item at once.
            sizes: What the engine takes; None for any size that the model's own pipeline makes.
        """

    @abstractmethod
    def sdk_codebase(self) -> dict[str, Any]:
        """Return the `codebase_config` of `detail.json`: the OpenMMLab codebase (`type`) and its `task`."""


AnyTask = Task[Any, Any]
"""A task whose kind of results does not matter to the caller."""


def build_task(node: Mapping[str, Any]) -> AnyTask:
    """Build the task that a config node describes, without Hydra.

    Args:
        node: The `processing` node of a model config: `_target_` names the task's class, the other keys its fields.

    Raises:
        UsageError: The class does not exist, or a key is unknown, missing or of the wrong type. The error names it.
    """
    return instantiate(node, Task, "model.processing")  # type: ignore[type-abstract]
