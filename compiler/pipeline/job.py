"""What one compile works on: the config, what it builds, and what it reads from outside. All of it before torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from compiler.artifact import file_digest
from compiler.backends import Backend, Probe, build_backend
from compiler.checkpoint import OFFICIAL, download, require_checkpoint
from compiler.config import CompileConfig
from compiler.datasets import Item
from compiler.datasets.calibration import find_items
from compiler.errors import CompileError
from compiler.events import Listener, StageStarted
from compiler.proof import AnyProof, proof_of
from compiler.sources import Origin, find_origin
from compiler.tasks import AnySample, AnyTask, build_task
from compiler.tasks.inputs import locate_input


@dataclass(frozen=True, eq=False)
class Job:
    """One compile.

    Attributes:
        config: Composed and checked.
        task: Pre- and post-processing.
        backend: What builds the engine.
        probe: What the backend can do on this machine.
        checkpoint: The weights' file; None where they are drawn.
        checkpoint_digest: Of that file; empty where the weights are drawn.
        source_path: The real input of the proof.
        sample: What the task looks at: an image, points or arrays; and where in it the objects are.
        origin: What makes the network.
        calibration: The files that int8 is calibrated on; none where that is the source.
    """

    config: CompileConfig
    task: AnyTask
    backend: Backend
    probe: Probe
    checkpoint: Path | None
    checkpoint_digest: str
    source_path: Path
    sample: AnySample
    origin: Origin
    calibration: tuple[Item, ...]

    @cached_property
    def proof(self) -> AnyProof:
        """What the task is proven by."""
        return proof_of(self.task)

    @property
    def name(self) -> str:
        """The deploy name."""
        return str(self.config.deploy_name)

    @property
    def bundle(self) -> Path:
        """Where the bundle goes: `<output>/<model>/<deploy name>`."""
        return Path(self.config.output) / self.config.model.name / self.name

    @cached_property
    def calibration_digests(self) -> tuple[str, ...]:
        """Of the files that int8 is calibrated on."""
        return tuple(file_digest(item.path) for item in self.calibration)

    @property
    def cache(self) -> Path:
        """Where finished stages are kept."""
        return cache_folder(self.config)


def cache_folder(config: CompileConfig) -> Path:
    """Return where finished stages are kept."""
    return Path(config.cache) if config.cache else Path(config.output) / ".cache"


def read_job(config: CompileConfig, listen: Listener = lambda event: None, *, installed: bool = True) -> Job:
    """Build the task and the backend, and read the source, the boxes and the checkpoint's digest.

    Args:
        config: Composed and checked.
        listen: Told where a download begins.
        installed: Whether the backend has to be.

    Raises:
        UsageError: The network, the processing or the backend is not configured right.
        CompileError: The backend is not installed, or a file is missing or cannot be used.
    """
    origin = find_origin(config)
    config = origin.with_inputs(config)
    task = build_task(config.model.processing)
    backend = build_backend(config.backend)
    probe = backend.probe()
    if probe.problem and installed:
        raise CompileError(f"{backend.name} cannot be used here", where=f"backend={backend.name}", why=probe.problem)
    source_path = locate_input(config, task)
    sample = task.read(source_path, config.box)
    checkpoint = _locate_checkpoint(config, listen)
    config = origin.with_outputs(config, task, sample)
    return Job(
        config=config,
        task=build_task(config.model.processing),
        backend=backend,
        probe=probe,
        checkpoint=checkpoint,
        checkpoint_digest=file_digest(checkpoint) if checkpoint else "",
        source_path=source_path,
        sample=sample,
        origin=origin,
        calibration=find_items(config, task),
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
