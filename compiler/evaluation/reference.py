"""The PyTorch network that a bundle was made from, run as an engine is. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.artifact import Lock, Tensors, digest
from compiler.config import CompileConfig
from compiler.pipeline.cache import Cache
from compiler.pipeline.composition import rewriting_of, selection_for
from compiler.pipeline.guards import writable
from compiler.pipeline.job import cache_folder, read_job
from compiler.pipeline.line import Line
from compiler.pipeline.origins import Origins
from compiler.pipeline.reproduction import require_known_code
from compiler.runtime import CONFIG_FILE, read_config
from compiler.runtime.opening import Opening
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


def open_network(bundle: Path, opening: Opening, given: Mapping[str, str]) -> OpenNetwork:
    """The network of a bundle, made of the very files that the bundle was made from.

    Args:
        bundle: What was compiled from it.
        opening: Whose code may be run.
        given: Files that it was made from, by the keys of its config; those that are left out are looked for where the
            config says, beside the bundle and in the current folder, by their digests.

    Raises:
        UsageError: Something is given that the bundle was not made from.
        CompileError: The bundle names code that is not known, or what it was made from is not here.
    """
    config = read_config(bundle, opening.modules, opening.limits)
    if not opening.network_code:
        require_known_code(config, bundle / CONFIG_FILE, opening.modules)
    cache = opening.cache or cache_folder()
    folders = (bundle.parent, Path(), cache / "checkpoints")
    config = Origins(Lock.load(bundle), given, folders).config(_without_data(config, cache))
    job = read_job(config, installed=False)
    with writable(cache / "load"):
        loaded = Line(Cache(cache), lambda event: None).run(Load(job.source, job.weights))
    network = LoadedNetwork(loaded, rewriting_of(job, selection_for(job)), job.source, job.task).open()
    _, run = network.steps()[0]
    key = digest({"source": fingerprint(job.source), "weights": fingerprint(job.weights), "tail": config.model.tail})
    return OpenNetwork(run, job.source.own_precision.name, key)


def _without_data(config: CompileConfig, cache: Path) -> CompileConfig:
    """A config without what a compile is proven and calibrated on, which may lie elsewhere."""
    calibration = replace(config.calibration, data=None)
    return replace(config, input=None, box=None, calibration=calibration, cache=str(cache))
