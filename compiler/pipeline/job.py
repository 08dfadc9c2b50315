"""What one compile works on: the config, what it builds, and what it reads from outside. All of it before torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import file_digest
from compiler.backends import Backend, build_backend
from compiler.checkpoint import OFFICIAL, download, require_checkpoint
from compiler.config import CompileConfig
from compiler.errors import CompileError
from compiler.events import Listener, StageStarted
from compiler.tasks import AnyTask, build_task
from compiler.tasks.boxes import read_boxes
from compiler.tasks.images import Image, read_image


@dataclass(frozen=True, eq=False)
class Job:
    """One compile.

    Attributes:
        config: Composed and checked.
        task: Pre- and post-processing.
        backend: What builds the engine.
        checkpoint: The weights' file; None where they are drawn.
        checkpoint_digest: Of that file; empty where the weights are drawn.
        image_path: The real input of the proof.
        image: BGR, [h, w, 3].
        boxes: Where its objects are, [n, 4].
    """

    config: CompileConfig
    task: AnyTask
    backend: Backend
    checkpoint: Path | None
    checkpoint_digest: str
    image_path: Path
    image: Image
    boxes: NDArray[np.float32]

    @property
    def name(self) -> str:
        """The deploy name."""
        return str(self.config.deploy_name)

    @property
    def bundle(self) -> Path:
        """Where the bundle goes: `<output>/<model>/<deploy name>`."""
        return Path(self.config.output) / self.config.model.name / self.name

    @property
    def cache(self) -> Path:
        """Where finished stages are kept."""
        return cache_folder(self.config)


def cache_folder(config: CompileConfig) -> Path:
    """Return where finished stages are kept."""
    return Path(config.cache) if config.cache else Path(config.output) / ".cache"


def read_job(config: CompileConfig, listen: Listener = lambda event: None) -> Job:
    """Build the task and the backend, and read the image, the boxes and the checkpoint's digest.

    Args:
        config: Composed and checked.
        listen: Told where a download begins.

    Raises:
        UsageError: The processing or the backend is not configured right.
        CompileError: The backend is not installed, or a file is missing or cannot be used.
    """
    task = build_task(config.model.processing)
    backend = build_backend(config.backend)
    problem = backend.probe().problem
    if problem:
        raise CompileError(f"{backend.name} cannot be used here", where=f"backend={backend.name}", why=problem)
    image_path = Path(config.image) if config.image else task.sample_image()
    image = read_image(image_path)
    boxes = read_boxes(config.box, (image.shape[1], image.shape[0]))
    checkpoint = _locate_checkpoint(config, listen)
    return Job(
        config=config,
        task=task,
        backend=backend,
        checkpoint=checkpoint,
        checkpoint_digest=file_digest(checkpoint) if checkpoint else "",
        image_path=image_path,
        image=image,
        boxes=boxes,
    )


def _locate_checkpoint(config: CompileConfig, listen: Listener) -> Path | None:
    if config.checkpoint is None:
        return None
    if config.checkpoint == OFFICIAL:
        listen(StageStarted("download"))
        official = config.model.official
        return download(official.url, official.sha256, cache_folder(config) / "checkpoints")
    path = Path(config.checkpoint)
    require_checkpoint(path)
    return path
