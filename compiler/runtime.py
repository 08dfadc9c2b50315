"""Open a bundle and run it on images. Needs numpy, OpenCV and the backend's own library; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Engine, Tensors, recover_folder
from compiler.backends import Session, build_backend, run_in_batches
from compiler.config import CompileConfig
from compiler.config.instantiate import instantiate
from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.tasks import AnyTask, build_task
from compiler.tasks.boxes import read_boxes
from compiler.tasks.images import read_image

CONFIG_FILE = "config.yaml"

Image = str | PathLike[str] | NDArray[np.uint8]


@dataclass(frozen=True)
class Predictor:
    """A bundle, open: call it with an image.

    Attributes:
        task: Pre- and post-processing.
        engine: What is being run.
        session: The open engine.
        sizes: The heights and widths that the engine takes.
        largest_batch: How many samples an engine with a dynamic batch is given at once.
    """

    task: AnyTask
    engine: Engine
    session: Session
    sizes: SizeRange
    largest_batch: int

    def __call__(self, image: Image, box: Any = None) -> list[Any]:
        """Predict.

        Args:
            image: A path, or a BGR uint8 array [h, w, 3].
            box: Where the objects are: x1, y1, x2, y2 in pixels, several of those, a JSON file, or None for the whole
                image.

        Returns:
            The task's typed results, one for each box: for poses, `compiler.tasks.pose.Pose`.

        Raises:
            CompileError: The image or a box cannot be used.
        """
        pixels = read_image(image)
        boxes = read_boxes(box, (pixels.shape[1], pixels.shape[0]))
        prepared = self.task.preprocess(pixels, boxes, self.sizes)
        return self.task.decode(self.run(prepared.tensors), prepared)

    def run(self, tensors: Tensors) -> Tensors:
        """Return the raw outputs for preprocessed inputs, the flip test included where the task asks for it."""
        run = partial(run_in_batches, self.session.run, self.engine, largest=self.largest_batch)
        return self.task.infer(run, tensors)

    def draw(self, image: Image, results: list[Any]) -> NDArray[np.uint8]:
        """Return a copy of the image, BGR, with the results drawn on it."""
        return self.task.draw(read_image(image), results)


def open(path: str | PathLike[str]) -> Predictor:
    """Open a bundle.

    Args:
        path: The folder that a compile left behind, wherever it lies now.

    Raises:
        CompileError: The folder is not a bundle, or its backend cannot be used on this machine.
    """
    from omegaconf import OmegaConf

    folder = Path(path)
    recover_folder(folder)
    config_file = folder / CONFIG_FILE
    if not config_file.is_file():
        raise CompileError(
            f"{folder} is not a bundle",
            where=str(folder),
            why=f"it has no {CONFIG_FILE}",
            fix="name the folder that python -m compiler printed: <output>/<model>/<deploy name>",
        )
    engine = Engine.load(folder)
    backend = build_backend(engine.backend)
    try:
        config = instantiate(OmegaConf.to_container(OmegaConf.load(config_file)), CompileConfig)  # type: ignore[arg-type]
        sizes = config.sizes
    except UsageError as error:
        raise CompileError(
            f"{CONFIG_FILE} is not the config of a bundle",
            where=str(config_file),
            why=str(error.what),
            fix="compile the bundle again",
        ) from error
    task = build_task(config.model.processing)
    return Predictor(task, engine, backend.open(engine), sizes, config.batch.largest)
