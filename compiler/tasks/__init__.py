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

    Running a model is `prepared = task.preprocess(image, boxes)`, the network on `prepared.tensors`, and
    `task.decode(outputs, prepared)`. Where `flip_test` is set, the network also runs on `task.flip(prepared.tensors)`,
    and `task.merge_flipped` joins the two outputs before they are decoded.

    A task is a frozen dataclass whose fields are the keys of its config node; see `build_task`.
    """

    name: ClassVar[str]
    """As in the first part of a deploy name."""
    unit: ClassVar[str]
    """Of what `difference` returns."""
    inputs: ClassVar[tuple[str, ...]]
    """Names of the network's inputs, in order."""
    outputs: ClassVar[tuple[str, ...]]
    """Names of the network's outputs, in order."""
    sdk_task: ClassVar[str]
    """What MMDeploy's SDK calls the task, the `task` of `deploy.json`."""
    sdk_model: ClassVar[str]
    """What MMDeploy's SDK calls the network, the `models[0].name` of `deploy.json`."""
    flip_test: bool
    """Average the outputs with those of the mirrored input: slower and more accurate."""

    @abstractmethod
    def preprocess(self, image: Image, boxes: NDArray[np.floating[Any]] | None) -> PreparedT:
        """Make network inputs from an image.

        Args:
            image: `[h, w, 3]`, BGR.
            boxes: `[n, 4]` as x1, y1, x2, y2 in pixels, each of which becomes one item of the batch; None stands for
                the whole image.

        Raises:
            ValueError: The image or the boxes have another shape.
        """

    @abstractmethod
    def decode(self, outputs: Tensors, prepared: PreparedT) -> list[ResultT]:
        """Turn the network's raw outputs into results in the image's own pixels.

        Raises:
            ValueError: The outputs do not have the shapes that the settings call for.
        """

    @abstractmethod
    def flip(self, tensors: Tensors) -> dict[str, NDArray[np.float32]]:
        """Mirror the network's inputs from left to right."""

    @abstractmethod
    def merge_flipped(self, outputs: Tensors, flipped_outputs: Tensors) -> dict[str, NDArray[np.float32]]:
        """Average raw outputs with the raw outputs for the mirrored inputs, mirrored back."""

    def infer(self, run: Callable[[Tensors], Tensors], tensors: Tensors) -> Tensors:
        """Return the raw outputs of `run`, averaged with those of the mirrored input where `flip_test` is set."""
        outputs = run(tensors)
        return self.merge_flipped(outputs, run(self.flip(tensors))) if self.flip_test else outputs

    @abstractmethod
    def difference(self, a: Sequence[ResultT], b: Sequence[ResultT]) -> float:
        """Return how far two lists of results for one input are apart, in `unit`; infinity if they cannot be paired."""

    @abstractmethod
    def draw(self, image: Image, results: Sequence[ResultT]) -> Image:
        """Return a copy of a BGR image with the results drawn on it."""

    @abstractmethod
    def samples(self, image: Image, boxes: NDArray[np.floating[Any]] | None, count: int) -> PreparedT:
        """Make a batch of `count` distinct items out of one image; the same arguments give the same batch."""

    @abstractmethod
    def sample_image(self) -> Path:
        """Return the photograph that stands in where the user gives no image."""

    @abstractmethod
    def sdk_pipeline(self, batched: bool = True) -> dict[str, Any]:
        """Return what `pipeline.json` holds, so that MMDeploy's SDK prepares and decodes as this task does.

        Args:
            batched: Whether the engine takes more than one item at once.
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
