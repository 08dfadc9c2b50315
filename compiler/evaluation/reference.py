"""The PyTorch network that a bundle was made from, run as an engine is. Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.artifact import Tensors, digest
from compiler.checkpoint import OFFICIAL
from compiler.config import CompileConfig
from compiler.config.known_classes import NETWORKS, TAILS, check_classes
from compiler.errors import CompileError
from compiler.evaluation.subjects import Opening
from compiler.pipeline.cache import Cache
from compiler.pipeline.composition import rewriting_of, selection_for
from compiler.pipeline.guards import writable
from compiler.pipeline.job import cache_folder, read_job
from compiler.pipeline.line import Line
from compiler.runtime import CONFIG_FILE, read_config
from compiler.stages import Load, LoadedNetwork
from compiler.stages.fingerprint import fingerprint


@dataclass(frozen=True)
class OpenNetwork:
    """A network as a session.

    Attributes:
        compute: Its outputs by name, for inputs by name.
        precision: That it computes in.
        key: The digest of what it is made from.
    """

    compute: Callable[[Tensors], Tensors]
    precision: str
    key: str

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name."""
        return self.compute(tensors)


def open_network(bundle: Path, opening: Opening, checkpoint: str | None) -> OpenNetwork:
    """The network of a bundle.

    Args:
        bundle: What was compiled from it.
        opening: Whose code may be run.
        checkpoint: Its weights, a path or `official`; None for where the bundle says that they lie.

    Raises:
        CompileError: The bundle names a class that is not known, or code of the user's own that is not trusted; or its
            checkpoint is gone, or is to be downloaded from where only the bundle says.
    """
    config = read_config(bundle, opening.modules, opening.limits)
    _refuse_code(config, bundle, opening)
    if checkpoint is None and config.checkpoint == OFFICIAL:
        raise CompileError(
            "the bundle's weights were downloaded, and are not downloaded again because a bundle says so",
            where=f"{bundle / CONFIG_FILE}: model.official.url={config.model.official.url}",
            fix=f"if that is where they come from: checkpoint={OFFICIAL}",
        )
    cache = opening.cache or cache_folder()
    config = replace(
        config,
        checkpoint=checkpoint or config.checkpoint,
        input=None,
        box=None,
        calibration=replace(config.calibration, data=None),
        cache=str(cache),
    )
    job = read_job(config, installed=False)
    with writable(cache / "load"):
        loaded = Line(Cache(cache), lambda event: None).run(Load(job.source, job.weights))
    network = LoadedNetwork(loaded, rewriting_of(job, selection_for(job)), job.source, job.task).open()
    _, run = network.steps()[0]
    key = digest({"source": fingerprint(job.source), "weights": fingerprint(job.weights), "tail": config.model.tail})
    return OpenNetwork(run, job.source.own_precision.name, key)


def _refuse_code(config: CompileConfig, bundle: Path, opening: Opening) -> None:
    """Refuse to run what a bundle names that is neither ours nor the user's own."""
    file, model = bundle / CONFIG_FILE, config.model
    check_classes(model.network, (NETWORKS,), file, "model.network", opening.modules)
    check_classes(model.tail, (TAILS,), file, "model.tail", opening.modules)
    if model.target and not opening.source_code:
        raise CompileError(
            "the bundle's network is made by code of its own, which is not run",
            where=f"{file}: model.target={model.target}",
            why="whoever made the bundle decides what that code does",
            fix="if you trust them, and the code lies here: --source-code",
        )
