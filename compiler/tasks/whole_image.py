"""What tasks that look at whole images have in common."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.config.sizes import SizeRange
from compiler.errors import CompileError
from compiler.tasks import ImageTask, Result
from compiler.tasks.resizing import Placement

if TYPE_CHECKING:
    from compiler.config.sizes import Size
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

    @abstractmethod
    def place(self, image: Image, sizes: SizeRange | None) -> tuple[Floats, Placement]:
        """Return the network's input for one image, `[1, 3, h, w]`, and where the image lies in it."""

    def preprocess(
        self, source: Image, boxes: NDArray[np.floating[Any]] | None, sizes: SizeRange | None = None
    ) -> PreparedImages:
        """Resize, normalise and pad an image; see `Task.preprocess`."""
        if source.ndim != 3 or source.shape[2] != 3 or source.dtype != np.uint8:
            raise ValueError(f"an image is [h, w, 3] of uint8, not {list(source.shape)} of {source.dtype}")
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

    def samples(self, source: Image, boxes: NDArray[np.floating[Any]] | None, count: int, size: Size) -> PreparedImages:
        """Prepare an image, and then parts of it, every other one mirrored; results are in pixels of each part.

        A batch of equal images would not show an engine that mixes up its items.
        """
        exactly = SizeRange.exactly(size)
        prepared = [self.preprocess(source, boxes, exactly)]
        generator = np.random.default_rng(0)
        sides = np.array(source.shape[:2])
        for index in range(1, count):
            extent = np.maximum(np.rint(sides * generator.uniform(0.6, 0.9, 2)), 1).astype(int)
            top, left = generator.integers(sides - extent + 1)
            part = source[top : top + extent[0], left : left + extent[1]]
            part = np.ascontiguousarray(part[:, ::-1] if index % 2 else part)
            prepared.append(self.preprocess(part, None, exactly))
        tensor = np.concatenate([one.tensors["input"] for one in prepared])
        placements, image_sizes = ([getattr(one, name)[0] for one in prepared] for name in ("placements", "sizes"))
        return PreparedImages({"input": tensor}, tuple(placements), tuple(image_sizes))


def sdk_scale(scale: tuple[int, int], sizes: SizeRange | None) -> list[int]:
    """Return what the longer and the shorter side of an image may become, so that it fits into what the engine takes.

    MMDeploy's SDK takes the sides in any order, as MMDetection does: where the engine takes one size, which is no
    square, it cannot lay out an image that is high where the engine is wide.
    """
    long, short = max(scale), min(scale)
    return [min(long, max(sizes.largest)), min(short, *sizes.largest)] if sizes else [long, short]
