"""What is written in a crop: one word, or one line of text."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Tensors
from compiler.errors import Caution, CompileError
from compiler.spans import Span
from compiler.tasks import ImageTask, Sample
from compiler.tasks.boxes import boxes_of, whole_box
from compiler.tasks.classes import draw_box
from compiler.tasks.images import require_image
from compiler.tasks.text_recognition.dictionary import Dictionary
from compiler.tasks.warping import resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compiler.config.sizes import SizeRange
    from compiler.tasks.images import Image

Floats = NDArray[np.float32]

INK = (25, 90, 190)
"""The colour of boxes in pictures, RGB."""


@dataclass(frozen=True, eq=False)
class Text:
    """What is written in one box.

    Attributes:
        text: Its characters.
        score: The mean of `character_scores`; 0 where no character was read.
        character_scores: How sure the network is of each character, from 0 to 1.
        box: `[4]`, the x1, y1, x2, y2 that was read.
        item: Which box of those that were given it is.
    """

    text: str
    score: float
    character_scores: tuple[float, ...]
    box: Floats
    item: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The text as JSON can hold it: its fields, with `character_scores` and `box` as lists."""
        return {
            "text": self.text,
            "score": self.score,
            "character_scores": list(self.character_scores),
            "box": self.box.tolist(),
            "item": self.item,
        }


@dataclass(frozen=True, eq=False)
class PreparedTexts:
    """Crops, ready for the network.

    Attributes:
        tensors: `input`, `[n, 1, h, w]`.
        widths: Of each crop, without what it is padded with on the right.
        boxes: `[n, 4]`, where the crops lie in the image.
        first: Which of all boxes the first of these is.
    """

    tensors: dict[str, Floats]
    widths: tuple[int, ...]
    boxes: Floats
    first: int = 0


@dataclass(frozen=True)
class TextRecognition(ImageTask[PreparedTexts, Text]):
    """Recognition of text with CTC (connectionist temporal classification), as MMOCR 1.0.1 does it.

    A file is read in colour and turned grey then; a JPEG that OpenCV reads as grey can differ from it by one level.

    Attributes:
        dictionary: Which characters it reads.
        height: Of the network's input, in pixels.
        min_width: The least that crops are wide when they are brought to that height; None for no bound.
        max_width: The most; None for no bound.
        width_divisor: Widths are rounded to its nearest multiple.
        mean: Subtracted from the pixels' grey levels.
        std: What they are then divided by.

    Raises:
        ValueError: A size, divisor or deviation is not positive.
    """

    name: ClassVar[str] = "text-recognition"
    proof: ClassVar[str] = "compiler.proof.text_recognition:TextRecognitionProof"
    result_class: ClassVar[type[Any] | None] = Text

    dictionary: Dictionary
    height: int
    min_width: int | None = None
    max_width: int | None = None
    width_divisor: int = 1
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.min_width, self.max_width) if bound is not None]
        if min(self.height, self.width_divisor, self.std, *bounds) <= 0:
            raise ValueError("height, min_width, max_width, width_divisor and std must be positive")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs, in order."""
        return ("output",)

    def preprocess(self, sample: Sample[Image], sizes: SizeRange | None = None) -> PreparedTexts:
        """The crop of each box, prepared as one batch; see `Task.preprocess` and `prepare`.

        A box reaches to the outer edges of the pixels that it touches.
        """
        require_image(sample.source)
        chosen = boxes_of(sample)
        prepared = self.prepare([pixels_in(sample.source, box) for box in chosen], chosen, sizes)
        return replace(prepared, first=sample.first)

    def prepare(
        self, crops: Sequence[Image], boxes: NDArray[np.floating[Any]] | None = None, sizes: SizeRange | None = None
    ) -> PreparedTexts:
        """Bring crops to the network's height, and pad them on the right to the width of the widest.

        A crop that is too wide for the engine is squeezed, with a `Caution`. What is padded is 0, grey as the mean, as
        in MMOCR's batches.

        Args:
            crops: `[h, w, 3]` each, BGR; at least one.
            boxes: `[n, 4]`, where they lie in the image; None where each is a whole image.
            sizes: What the engine takes; None for any width.
        """
        widths = tuple(self.width(crop, sizes) for crop in crops)
        natural = max(self.width(crop) for crop in crops)
        if natural > max(widths):
            warnings.warn(_squeezed(self.height, natural, max(widths)), Caution, stacklevel=2)
        _, widest = sizes.fit(self.height, max(widths)) if sizes else (self.height, max(widths))
        tensor = np.zeros((len(crops), 1, self.height, widest), np.float32)
        for item, crop, width in zip(tensor, crops, widths, strict=True):
            item[0, :, :width] = self.normalised(crop, width)
        places = np.concatenate([whole_box(crop) for crop in crops]) if boxes is None else boxes.astype(np.float32)
        return PreparedTexts({"input": tensor}, widths, places)

    def width(self, crop: Image, sizes: SizeRange | None = None) -> int:
        """How wide a crop becomes when it is brought to the network's height: MMOCR's `RescaleToHeight`."""
        height, width = crop.shape[:2]
        # In this order, as MMOCR computes it: results agree to the last bit.
        scaled = max(math.ceil(float(self.height) / height * width), self.min_width or 1)
        rounded: int = round(min(scaled, self.widest(sizes)) / self.width_divisor) * self.width_divisor
        if sizes:
            rounded = min(rounded, sizes.largest[1] // self.width_divisor * self.width_divisor)
        return max(rounded, self.width_divisor)

    def widest(self, sizes: SizeRange | None) -> float:
        """What widths are bounded by, before they are rounded."""
        return min(self.max_width or math.inf, sizes.largest[1] if sizes else math.inf)

    def normalised(self, crop: Image, width: int) -> Floats:
        """A crop in grey, stretched to the network's height and a width, `[height, width]`."""
        grey = resize(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY), (width, self.height))
        with Span("normalise"):
            return (grey.astype(np.float32) - np.float32(self.mean)) / np.float32(self.std)

    def decode(self, outputs: Tensors, prepared: PreparedTexts) -> list[Text]:
        """One text for each box, in their order; see `Task.decode`.

        Raises:
            CompileError: The network has another number of classes than the dictionary.
        """
        output = np.asarray(outputs["output"])
        if output.ndim != 3 or len(output) != len(prepared.boxes):
            raise ValueError(f"output is {list(output.shape)}, and there are {len(prepared.boxes)} boxes")
        if output.shape[2] != self.dictionary.num_classes:
            raise CompileError(
                f"the network tells {output.shape[2]} classes apart, and the dictionary names "
                f"{self.dictionary.num_classes}",
                where="model.network.decoder.num_classes, model.processing.dictionary",
                why=f"the dictionary has {len(self.dictionary.characters)} characters, and CTC's blank follows them",
                fix="use the dictionary that the network was trained with",
            )
        padded = prepared.tensors["input"].shape[3]
        texts = []
        for item, (columns, width, box) in enumerate(zip(output, prepared.widths, prepared.boxes, strict=True)):
            text, scores = self.dictionary.read(columns[: math.ceil(len(columns) * (width / padded))])
            texts.append(Text(text, float(np.mean(scores)) if scores else 0.0, scores, box, prepared.first + item))
        return texts

    def draw(self, sample: Sample[Image], results: Sequence[Text]) -> Image:
        """The image, and on it the texts above their boxes; OpenCV draws what is not ASCII as `?`."""
        canvas = sample.source.copy()
        for one in results:
            draw_box(canvas, one.box, drawable(one.text), INK)
        return canvas

    def sample_source(self) -> Path:
        """A picture of one printed word."""
        return Path(__file__).parents[1] / "photographs" / "word.png"


def _squeezed(height: int, width: int, taken: int) -> str:
    return (
        f"the result is made of a squeezed crop: at {height} pixels of height it is {width} wide, and the engine takes "
        f"{taken}. Compile for as much: shape=static_{height}x{width}, or "
        f"shape=dynamic_{height}x{height}-{height}x{width}"
    )


def drawable(text: str) -> str:
    """A text as OpenCV's fonts can draw it: with a `?` for each character that is not ASCII."""
    return text.encode("ascii", "replace").decode()


def pixels_in(image: Image, box: NDArray[np.floating[Any]]) -> Image:
    """The pixels of an image that a box touches, at least one."""
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(box[:2]), 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(np.ceil(box[2:]), (left + 1, top + 1), (width, height)).astype(int)
    return image[top:bottom, left:right]
