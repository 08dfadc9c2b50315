"""Which of some classes an image shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from compiler.tasks import Sample
from compiler.tasks.classes import Classes
from compiler.tasks.crops import to_tensor
from compiler.tasks.images import Image
from compiler.tasks.resizing import Scaled
from compiler.tasks.whole_image import PreparedImages, WholeImageTask


@dataclass(frozen=True)
class Guess:
    """What one image shows."""

    name: str
    score: float
    item: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The guess as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True)
class Classification(WholeImageTask[Guess]):
    """A task whose fields are the keys of `processing` in a model's file."""

    name: ClassVar[str] = "classification"
    proof: ClassVar[str] = "tests.tasks.example.proof:ClassificationProof"

    classes: Classes
    side: int
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the network's outputs: `[n, classes]`."""
        return ("logits",)

    def place(self, image: Image, sizes: Any) -> tuple[Any, Scaled]:
        """The image, stretched to the network's input."""
        height, width = image.shape[:2]
        resized = np.asarray(cv2.resize(image, (self.side, self.side)), np.uint8)
        return to_tensor([resized], self.mean, self.std, True), Scaled((self.side / width, self.side / height))

    def decode(self, outputs: Any, prepared: PreparedImages) -> list[Guess]:
        """The most likely class of each image."""
        exponentials = np.exp(outputs["logits"] - outputs["logits"].max(axis=1, keepdims=True))
        scores = exponentials / exponentials.sum(axis=1, keepdims=True)
        best = scores.argmax(axis=1)
        return [Guess(self.classes.names[label], float(scores[item, label]), item) for item, label in enumerate(best)]

    def draw(self, sample: Sample[Image], results: Sequence[Guess]) -> Image:
        """The image with its class in the corner."""
        canvas = sample.source.copy()
        caption = f"{results[0].name} {results[0].score:.2f}"
        cv2.putText(canvas, caption, (10, 40), cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2)
        return canvas

    def sample_source(self) -> Path:
        """A file that stands in where the user gives none."""
        return Path(__file__).parent / "sample.png"
