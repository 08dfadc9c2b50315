"""What one compile works on: the config, what it builds, and what it reads from outside.

A second run needs no torch for it, but for a network that a user's own code makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from compiler.artifact import InputFile, OnnxProgram, digest, file_digest, file_digests
from compiler.artifact.source_code import code_digest, recorded_imports
from compiler.backends import Backend, Probe, build_backend
from compiler.checkpoint import OFFICIAL, download, require_checkpoint
from compiler.config import CompileConfig
from compiler.config.deploy_name import AUTO
from compiler.config.known_classes import modules_named
from compiler.config.schema import CalibrationConfig
from compiler.datasets import Item
from compiler.datasets.calibration import find_items
from compiler.errors import CompileError, UsageError
from compiler.events import Listener, StageStarted
from compiler.pipeline.trained_names import named_by_checkpoint, names_in_cache
from compiler.proof import AnyProof, proof_of
from compiler.sources import Checkpoint, Source, Weights, find_source
from compiler.stages.fingerprint import fingerprint
from compiler.stages.tools import load_plug_ins, plug_in_contents, versions
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
        source: Where the network comes from.
        weights: What its weights are.
        sample: What the proof is made on.
        sample_path: The file that it was read from.
        calibration: The files that int8 is calibrated on; none where that is the sample.
        plug_ins: The code of installed plug-ins' rewriters, by module.
    """

    config: CompileConfig
    task: AnyTask
    backend: Backend
    probe: Probe
    source: Source
    weights: Weights
    sample: AnySample
    sample_path: Path
    calibration: tuple[Item, ...]
    plug_ins: Mapping[str, str]

    @cached_property
    def proof(self) -> AnyProof:
        """What the task is proven by."""
        return proof_of(self.task)

    @property
    def has_graph(self) -> bool:
        """Whether the backend reads ONNX, which graph rewriters and lower precisions are written into."""
        return issubclass(self.backend.PROGRAM, OnnxProgram)

    @property
    def quantizes_by_itself(self) -> bool:
        """Whether the backend is handed what int8 is calibrated on, and not a Program in int8."""
        return self.config.precision == "int8" and self.is_lowered and self.backend.lowers("int8")

    @property
    def is_lowered(self) -> bool:
        """Whether the precision is another one than the network comes in."""
        return self.config.precision != self.source.own_precision.name

    @property
    def in_fp32(self) -> Job:
        """The same network, compiled in fp32."""
        config = self.config
        plain = replace(
            config,
            precision="fp32",
            keep_fp32=(),
            calibration=CalibrationConfig(),
            rewriters=replace(config.rewriters, require=()),
        )
        return replace(self, config=plain)

    @property
    def name(self) -> str:
        """The deploy name."""
        return str(self.config.deploy_name)

    @property
    def bundle(self) -> Path:
        """Where the bundle goes."""
        return self.config.bundle

    @property
    def checkpoint(self) -> Path | None:
        """The weights' file; None where there is none."""
        return self.weights.path if isinstance(self.weights, Checkpoint) else None

    @cached_property
    def calibration_items(self) -> tuple[tuple[str, tuple[tuple[float, ...], ...] | None], ...]:
        """The content of each file that int8 is calibrated on, and where its objects are."""
        return tuple((InputFile.of(item.path).digest, item.boxes) for item in self.calibration)

    @property
    def made_from(self) -> dict[str, str]:
        """The digest of each file that is read, by the key of the config that names it; the sample that ships with a
        task is its `input`."""
        files: dict[str, Path | None] = {
            "checkpoint": self.checkpoint,
            "input": self.sample_path,
            "box": named_file(self.config.box),
            "model.file": named_file(self.config.model.file),
        }
        found = {key: path_digest(path) for key, path in files.items() if path is not None}
        calibration = {"calibration.data": digest(self.calibration_items)} if self.calibration else {}
        return found | calibration

    @property
    def cache(self) -> Path:
        """Where finished stages are kept."""
        return cache_folder(self.config.output, self.config.cache)

    @property
    def key(self) -> Mapping[str, Any]:
        """All that the whole bundle depends on.

        Needs neither torch nor the rewriters where nothing is a user's own, so that it is quick to tell.
        """
        return {
            "config": fingerprint(self.config),
            "backend": fingerprint(self.backend),
            "probe": fingerprint(self.probe),
            "source": fingerprint(self.source),
            "weights": fingerprint(self.weights),
            "sample": fingerprint(self.sample),
            "calibration": fingerprint(self.calibration_items),
            "proof": fingerprint(self.proof),
            "tail": code_digest(modules_named(self.config.model.tail)),
            "plug-ins": dict(self.plug_ins),
            "tools": versions(),
        }


def named_file(value: object) -> Path | None:
    """The file that a value of a config names; None where it is something else, such as the numbers of a box."""
    path = Path(value) if isinstance(value, str) else None
    return path if path is not None and path.exists() else None


def path_digest(path: Path) -> str:
    """The SHA-256 of a file; of a folder, that of the names and digests of its files."""
    return digest(file_digests(path)) if path.is_dir() else file_digest(path)


def cache_folder(output: str = CompileConfig.output, cache: str | None = None) -> Path:
    """Where finished stages are kept, for what a config says of it; or says nothing."""
    return Path(cache) if cache else Path(output) / ".cache"


@recorded_imports()
def read_job(config: CompileConfig, listen: Listener = lambda event: None, *, installed: bool = True) -> Job:
    """Build the task and the backend, and read the sample and the checkpoint's digest.

    Args:
        config: Composed and checked.
        listen: Told where a download begins.
        installed: Whether the backend has to be.

    Raises:
        UsageError: The network, the processing or the backend is not configured right.
        CompileError: The backend is not installed, or a file is missing or cannot be used.
    """
    if config.precision == AUTO:
        raise UsageError(
            "a precision has to be named here",
            where=f"precision={AUTO}",
            why="it is chosen by a compile, which measures those that there are",
            fix=f"name one: {', '.join(config.backend_facts.PRECISIONS)}",
        )
    load_plug_ins()
    source = find_source(config)
    config = source.with_inputs(config)
    task = build_task(config.model.processing)
    backend = build_backend(config.backend)
    probe = backend.probe()
    if probe.problem and installed:
        raise CompileError(f"{backend.name} cannot be used here", where=f"backend={backend.name}", why=probe.problem)
    _check_precision_options(config, backend)
    sample_path = locate_input(config, task)
    sample = task.read(sample_path, config.box, config.limits)
    checkpoint = _checkpoint(config, listen)
    if checkpoint is not None:
        config = named_by_checkpoint(config, names_in_cache(checkpoint, cache_folder(config.output, config.cache)))
    config, source = source.with_outputs(config, task, sample)
    return Job(
        config=config,
        task=build_task(config.model.processing),
        backend=backend,
        probe=probe,
        source=source,
        weights=checkpoint or source.random_weights(config),
        sample=sample,
        sample_path=sample_path,
        calibration=find_items(config, task),
        plug_ins=plug_in_contents(),
    )


def _check_precision_options(config: CompileConfig, backend: Backend) -> None:
    """Refuse what only a precision that is written into a graph can be told.

    Raises:
        UsageError: The backend lowers the precision by itself, and the config says how to.
    """
    if not backend.lowers(config.precision):
        return
    usual = CalibrationConfig()
    given = {
        "keep_fp32": bool(config.keep_fp32) and config.precision not in backend.KEEPS_FP32,
        "calibration.auto": config.calibration.auto,
        "calibration.method": config.calibration.method != usual.method,
    }
    override = backend.INT8_IN_GRAPH if config.precision == "int8" else ""
    written = f"; or let int8 be written into the graph: {override}" if override else ""
    for key in (key for key, is_given in given.items() if is_given):
        raise UsageError(
            f"{backend.name} chooses by itself what it computes in {config.precision}",
            where=key,
            why="the precision is not written into a graph that it reads",
            fix=f"leave {key} out{written}",
        )


def _checkpoint(config: CompileConfig, listen: Listener) -> Checkpoint | None:
    path = _locate_checkpoint(config, listen)
    return None if path is None else Checkpoint.of(path)


def _locate_checkpoint(config: CompileConfig, listen: Listener) -> Path | None:
    if config.checkpoint is None:
        return None
    if config.checkpoint == OFFICIAL:
        listen(StageStarted("download"))
        official = config.model.official
        return download(official.url, official.sha256, cache_folder(config.output, config.cache) / "checkpoints")
    path = Path(config.checkpoint)
    require_checkpoint(path)
    return path
