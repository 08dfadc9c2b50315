"""ncnn: Tencent's engine for phones, boards and processors of any kind. pnnx makes its networks of TorchScript."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from compiler.artifact import Engine, Program, TorchScriptProgram, installed_version
from compiler.artifact.machine import this_machine
from compiler.backends import Backend, BuildRequest, Obstacle, Probe, Profile
from compiler.backends.libraries import library_problem
from compiler.backends.ncnn.converter import ConversionLimits, Converted, convert
from compiler.backends.ncnn.details import DETAILS_FILE, PRECISIONS, Details
from compiler.backends.ncnn.network import Options
from compiler.backends.ncnn.param_file import PARAM_FILE, WEIGHTS_FILE, read_param, renamed, write_param
from compiler.backends.ncnn.plan import plan, refuse_ignored, require_float32
from compiler.backends.ncnn.session import NcnnSession, load_ncnn
from compiler.backends.ncnn.trial import Trials
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.config.ranges import between
from compiler.config.sizes import Size
from compiler.errors import CompileError

LIBRARIES = {"ncnn": "1.0.20261020", "pnnx": "20261020"}
"""What is needed, each with the oldest version that was measured."""
BATCH = "batch"
"""What a Program calls the dimension that counts samples."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ncnn(Backend):
    """ncnn on the processor.

    Attributes:
        threads: Within one layer; None for ncnn's own choice, one on each core.
        winograd: Whether 3x3 convolutions may be computed in Winograd's way: faster, with another rounding.
        pnnx_seconds: That the converter may take.
        pnnx_memory: GiB of address space that it may take.
    """

    TITLE: ClassVar[str] = "ncnn"
    PROGRAM: ClassVar[type[Program]] = TorchScriptProgram
    PRECISIONS: ClassVar[tuple[str, ...]] = PRECISIONS
    REFUSED_PRECISIONS: ClassVar[Mapping[str, str]] = {
        "int8": "ncnn2table and ncnn2int8, which quantise a network, are in no package that pip installs",
        "bf16": "ncnn stores what is between its layers in bf16 where it is asked to, and no weights",
    }
    TAIL: ClassVar[str] = "raw"
    """It has no layer that looks for the best."""
    PROFILED: ClassVar[bool] = True

    threads: int | None = between(1, 1024, default=None)
    winograd: bool = True
    pnnx_seconds: float = between(1e-3, 10**9, default=600.0)
    pnnx_memory: float = between(1e-3, 2**20, default=16.0)

    def probe(self) -> Probe:
        """Look for the distributions `ncnn` and `pnnx`."""
        problems = (library_problem(name, "ncnn", oldest) for name, oldest in LIBRARIES.items())
        problem = next(filter(None, problems), "")
        return Probe(installed_version("ncnn"), ("CPU",), problem, machine=self.machine())

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """Look every operator up in what is known of pnnx and ncnn; they need not be installed."""
        return plan(TorchScriptProgram.of(program))

    def build(self, request: BuildRequest) -> Engine:
        """Let pnnx convert the Program, and open the result once so that what ncnn refuses is refused here."""
        program = TorchScriptProgram.of(request.program)
        require_float32((*program.inputs, *program.outputs), str(program.path))
        limits = ConversionLimits(self.pnnx_seconds, self.pnnx_memory)
        shapes = _shapes(request.profiles[0], program)
        with TemporaryDirectory(prefix="deploy-compiler-") as folder:
            converted = convert(program, shapes, request.precision == "fp16", limits, Path(folder))
            logger.info("pnnx said\n%s", converted.output.strip())
            layers = read_param(converted.param)
            refuse_ignored(converted, layers)
            write_param(request.folder / PARAM_FILE, renamed(layers, _blob_names(program)))
            shutil.copyfile(converted.weights, request.folder / WEIGHTS_FILE)
        _details(request.precision, program, converted, shapes[0]).save(request.folder)
        files = (PARAM_FILE, WEIGHTS_FILE)
        engine = Engine(request.folder, files, self.node(), program.inputs, program.outputs, self.machine())
        self.open(engine)
        engine.save()
        return engine

    def machine(self) -> dict[str, str]:
        """The processor, whose features decide which kernels run, and the library, whose versions are dates."""
        return {**this_machine("ncnn"), "ncnn": installed_version("ncnn")}

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The layers, their numbers, and how it is run, whatever the sidecar calls them."""
        return (PARAM_FILE, WEIGHTS_FILE, DETAILS_FILE)

    def open(self, engine: Engine) -> NcnnSession:
        """Open the engine with the configured threads, once that was tried in another process; so is each shape."""
        return self.open_within(engine, DEFAULT_LIMITS)

    def open_within(self, engine: Engine, limits: Limits, cache: Path | None = None) -> NcnnSession:
        """The same, and the trials take no more than the limits."""
        load_ncnn()
        require_float32((*engine.inputs, *engine.outputs), str(engine.folder / Engine.SIDECAR))
        details = Details.load(engine)
        _check_blobs(engine)
        options = Options(self.threads, details.precision == "fp16", self.winograd)
        trials = Trials(engine, options, limits)
        trials.require(details.sample)
        return NcnnSession(engine, frozenset(details.batched), options, trials)


def _shapes(profile: Profile, program: TorchScriptProgram) -> tuple[Mapping[str, Size], ...]:
    """What pnnx is told of the inputs: the smallest shapes, and larger ones where a length varies, of one sample."""
    smallest, larger = {}, {}
    for spec in program.inputs:
        sizes = zip(*(one[spec.name] for one in (profile.smallest, profile.usual, profile.largest)), strict=True)
        counts = [1 if name == BATCH else None for name in spec.shape]
        sides = [(count, count) if count else _two(*size) for count, size in zip(counts, sizes, strict=True)]
        smallest[spec.name], larger[spec.name] = tuple(zip(*sides, strict=True))
    return (smallest,) if larger == smallest else (smallest, larger)


def _two(smallest: int, usual: int, largest: int) -> tuple[int, int]:
    """The smallest length, and a larger one; pnnx computes with both, so that it need not be the largest."""
    return smallest, usual if usual > smallest else largest


def _details(precision: str, program: TorchScriptProgram, converted: Converted, shapes: Mapping[str, Size]) -> Details:
    batched = tuple(spec.name for index, spec in enumerate(program.inputs) if f"in{index}" in converted.batched)
    sample = {name: shape[1:] if name in batched else shape for name, shape in shapes.items()}
    return Details(precision, batched, sample, installed_version("pnnx"))


def _blob_names(program: TorchScriptProgram) -> dict[str, str]:
    """What the Program calls what pnnx calls `in0` and `out0`."""
    names = {f"in{index}": spec.name for index, spec in enumerate(program.inputs)}
    return names | {f"out{index}": spec.name for index, spec in enumerate(program.outputs)}


def _check_blobs(engine: Engine) -> None:
    """Refuse layers that contradict each other, or have other inputs and outputs than the sidecar says."""
    layers = read_param(engine.folder / PARAM_FILE)
    blobs = {blob for layer in layers for blob in layer.outputs}
    missing = [spec.name for spec in (*engine.inputs, *engine.outputs) if spec.name not in blobs]
    if missing:
        raise CompileError(
            f"{PARAM_FILE} has no {', '.join(missing)}",
            where=str(engine.folder / PARAM_FILE),
            why="engine.json names it",
            fix="compile it again",
        )
