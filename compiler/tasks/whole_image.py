"""What tasks that look at whole images have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.errors import CompileError
from compiler.tasks import ImageTask, Result, Sample
from compiler.tasks.images import require_image
from compiler.tasks.resizing import Placement

if TYPE_CHECKING:
    from compiler.config.sizes import SizeRange
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]
ResultT = TypeVar("ResultT", bound=Result)


@dataclass(frozen=True, eq=False)
class PreparedImages:
    """Whole images, ready for the network.

    Attributes:
        tensors: `input`, `[n, 3, h, w]`.
        placements: Where each image lies in the network's input.
        sizes: Width and height of each image.
    """

    tensors: dict[str, Floats]
    placements: tuple[Placement, ...]
    sizes: tuple[tuple[int, int], ...]


class WholeImageTask(ImageTask[PreparedImages, ResultT]):
    """A task that looks at whole images, and at no boxes in them."""

    takes_boxes: ClassVar[bool] = False

    @abstractmethod
    def place(self, image: Image, sizes: SizeRange | None) -> tuple[Floats, Placement]:
        """The network's input for one image, `[1, 3, h, w]`, and where the image lies in it."""

    def preprocess(self, sample: Sample[Image], sizes: SizeRange | None = None) -> PreparedImages:
        """The image resized, normalised and padded; see `Task.preprocess`."""
        source, boxes = sample.source, sample.boxes
        require_image(source)
        height, width = source.shape[:2]
        if boxes is not None and not np.array_equal(boxes, [[0, 0, width, height]]):
            raise CompileError(
                "a detector looks at the whole image",
                where=f"boxes {np.asarray(boxes).tolist()}",
                why=f"the image is {width} wide and {height} high",
                fix="give no box; to search a part of an image, crop it first",
            )
        tensor, placement = self.place(source, sizes)
        return PreparedImages({"input": tensor}, (placement,), ((width, height),))
