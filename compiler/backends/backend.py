"""What every backend is: probes this machine, plans, builds an Engine of a Program, opens it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import Engine, OnnxProgram, Program, Tensors, as_fault_of
from compiler.backends.environments import Environment
from compiler.config.backend_facts import BackendFacts, backend_facts
from compiler.config.instantiate import instantiate
from compiler.config.known_classes import BACKENDS, check_classes
from compiler.config.limits import Limits
from compiler.config.moved import RETIRED_BACKEND_KEYS, present_backend
from compiler.config.plain_names import require_plain_name
from compiler.config.sizes import Size
from compiler.errors import CompileError, UsageError
from compiler.graphs.runtime import AS_WRITTEN, RuntimeOptions
from compiler.precision.int8.schemes import QuantizationScheme

PROGRAM_FILE = "end2end.onnx"
"""A Program in a bundle: the name that MMDeploy's SDK and its users know."""


class Session(Protocol):
    """An open engine."""

    def run(self, tensors: Tensors) -> Tensors:
        """The outputs by name, for inputs by name."""
        ...


@dataclass(frozen=True)
class Probe:
    """What a backend can do on this machine.

    Attributes:
        version: Of the installed library; empty where it is not installed.
        devices: What it runs on here.
        problem: Why it cannot be used here at all; empty where it can.
        build_problem: Why no engine can be built here, but from the bundle elsewhere; empty where it can.
        run_problem: Why an engine that was built here cannot be run here; empty where it can.
        machine: What of this machine an engine says that it was proven on: on another it is made again.
    """

    version: str
    devices: tuple[str, ...] = ()
    problem: str = ""
    build_problem: str = ""
    run_problem: str = ""
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """The shapes that an engine takes: its inputs' smallest, the ones that it is best at, and their largest.

    Attributes:
        smallest: By input.
        usual: By input.
        largest: By input.
    """

    smallest: Mapping[str, Size]
    usual: Mapping[str, Size]
    largest: Mapping[str, Size]


@dataclass(frozen=True)
class BuildRequest:
    """What to build.

    Attributes:
        program: Of the kind that the backend reads, its precision applied.
        folder: Empty; the engine's files and its sidecar go there.
        precision: Of the engine: one of `fp32`, `fp16`, `bf16`, `int8`. The Program is in it, but for those that the
            backend `lowers` by itself.
        profiles: Where the backend is `PROFILED` at least one; those of a static Program have a single size.
        cache: A folder that is kept between builds.
        progress: Told what share of the build is done, between 0 and 1, and the name of what is going on; raises what
            interrupts the run.
        calibration: Gives the batches that int8 takes its ranges from, to a backend that quantises by itself; None
            otherwise.
        keep_fp32: What stays in fp32, where the backend `lowers` the precision and `KEEPS_FP32`: names of nodes, types
            of operators, patterns of either; see `compiler.precision.excluded`.
    """

    program: Program
    folder: Path
    precision: str
    profiles: tuple[Profile, ...]
    cache: Path
    progress: Callable[[float, str], None]
    calibration: Callable[[], Iterator[Tensors]] | None = None
    keep_fp32: tuple[str, ...] = ()


@dataclass(frozen=True)
class Obstacle:
    """Something in a Program that a backend cannot take.

    Attributes:
        operator: Its type, with its domain where that is not ONNX's own.
        node: Its name, and those of others like it.
        why: What the backend cannot do.
        seen: Where that is known from: a version, a page, a measurement.
        fix: What removes it: a rewriter, or a setting; empty where nothing is known.
    """

    operator: str
    node: str
    why: str
    seen: str = ""
    fix: str = ""


@dataclass(frozen=True)
class LayerTime:
    """One layer of an open engine, as the backend's own profiler sees it.

    Attributes:
        name: Of the node or layer; of one that stands for several, what the backend calls it.
        operator: What it computes, such as `Conv`.
        seconds: That it takes in one run of the engine, on average.
    """

    name: str
    operator: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Backend(BackendFacts, ABC):
    """A backend: a class that knows its facts, and its options as fields, each with a key in the backend's config.

    Attributes:
        name: Of its config, as in deploy names.
    """

    ENVIRONMENT: ClassVar[Environment | None] = None
    """Where its library lives, if that cannot be installed beside the compiler."""

    name: str

    @property
    def quantization(self) -> QuantizationScheme | None:
        """How it wants int8 written into a Program; None where it takes calibration batches itself."""
        return None

    def lowers(self, precision: str) -> bool:
        """Whether it makes an engine in this precision of a Program in fp32, in which no graph was changed for it."""
        if precision == "fp32":
            return False
        is_written = issubclass(self.PROGRAM, OnnxProgram) and precision not in self.OWN_PRECISIONS
        return not is_written or (precision == "int8" and self.quantization is None)

    @property
    def simulation(self) -> RuntimeOptions:
        """How ONNX Runtime runs a Program in place of an engine that is not built yet."""
        return AS_WRITTEN

    def beside_others(self) -> Backend:
        """The same, with engines that leave each other the processor while they wait."""
        return self

    @property
    def engine_holds_code(self) -> bool:
        """Whether its engines bring code that the processor runs: they are opened only where the user says so."""
        return False

    def node(self) -> dict[str, Any]:
        """The config node that builds this backend again, wherever that is."""
        options = {name: value for name, value in asdict(self).items() if name not in self.LOCAL}
        return {"_target_": f"{type(self).__module__}.{type(self).__qualname__}", **options}

    @abstractmethod
    def probe(self) -> Probe:
        """Look at what is installed, without building anything."""

    @abstractmethod
    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """What this backend cannot take of a Program. It needs not be installed."""

    @abstractmethod
    def build(self, request: BuildRequest) -> Engine:
        """Build an engine, its sidecar included.

        Raises:
            CompileError: The backend refuses the Program.
        """

    @abstractmethod
    def open(self, engine: Engine) -> Session:
        """Open an engine for running.

        Raises:
            CompileError: It cannot be opened on this machine.
        """

    def in_streams(self, streams: int) -> Backend:
        """This backend, whose engines several threads run at once, on no more processors than one did.

        Args:
            streams: As many inputs are computed at once, at least two.

        Raises:
            UsageError: Its engines are run by one thread at a time.
        """
        raise UsageError(
            f"an engine of {self.TITLE or self.name} computes one input at a time",
            where=f"streams={streams}",
            fix="leave streams out; or compile with backend=onnxruntime or backend=openvino",
        )

    def layers(self, engine: Engine, tensors: Tensors, iterations: int) -> tuple[LayerTime, ...] | None:
        """What each layer of an engine takes, in the order in which they run; None where the library does not say it.

        Args:
            engine: Opened once more for this: measuring the layers slows it down.
            tensors: Its inputs by name.
            iterations: How many runs are counted, behind one that is not.

        Raises:
            CompileError: See `open`.
        """
        return None

    def stand_in(self, engine: Engine) -> Session:
        """What is computed in place of an engine that cannot be run here, where there is a `STAND_IN`.

        Raises:
            CompileError: There is no such thing, or an operation is not known.
        """
        raise CompileError(
            f"engines of {self.name} are run, and nothing stands in for them", where=f"backend={self.name}"
        )

    def open_cached(self, engine: Engine, cache: Path) -> Session:
        """Open an engine, and keep what the library makes of it for the next time; nothing is kept unless overridden.

        Args:
            engine: To open.
            cache: A folder of the user's own, which nothing gets into that came with a bundle.

        Raises:
            CompileError: See `open`.
        """
        return self.open(engine)

    def open_within(self, engine: Engine, limits: Limits, cache: Path | None = None) -> Session:
        """Open a stranger's engine, in a cache where there is one; limits count where opening tries the engine out.

        Args:
            engine: To open.
            limits: Of whoever opens it.
            cache: See `open_cached`.

        Raises:
            CompileError: See `open`.
        """
        return self.open(engine) if cache is None else self.open_cached(engine, cache)

    @property
    def keeps_opened(self) -> bool:
        """Whether anything of an open engine is kept: where `open_cached` is overridden."""
        return type(self).open_cached is not Backend.open_cached

    def open_to_prove(self, engine: Engine, cache: Path) -> Session:
        """Open an engine in the compile that made it, where this backend's own options say whether a cache is used.

        Args:
            engine: To open.
            cache: Of the compile.

        Raises:
            CompileError: See `open`.
        """
        return self.open_cached(engine, cache)

    def machine(self) -> dict[str, str]:
        """What of this machine a proof holds for, by name; nothing where an engine opens nowhere else."""
        return {}

    def graph_of(self, engine: Engine) -> Path | None:
        """The ONNX file that an engine is, which `simulation` runs as it does; None where it is something else."""
        return None

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The names of the files and folders that opening an engine reads.

        Raises:
            CompileError: It is still to be built.
        """
        if self.DEFERRED_BUILD and engine.size is None:
            raise CompileError(
                f"{engine.file} is still to be built",
                where=str(engine.folder),
                fix=self.deferred_build_advice(engine.folder),
            )
        return engine.files

    def deferred_build(self, request: BuildRequest) -> Engine:
        """Write what an engine can be built from elsewhere, and the sidecar that the engine will have.

        Raises:
            CompileError: The backend builds where it compiles, or not at all: it has no `DEFERRED_BUILD`.
        """
        raise CompileError(
            f"{self.name} builds an engine where it is compiled, or not at all", where=f"backend={self.name}"
        )

    def deferred_build_advice(self, bundle: Path) -> str:
        """How an engine is built of what a bundle holds, where one can be built."""
        return f"python -m compiler build {bundle}"


def with_threads(backend: Backend, threads: int) -> Backend:
    """A backend whose engines use so many threads.

    Raises:
        UsageError: It is not told how many, or there are not so many.
    """
    if "threads" not in {field.name for field in fields(backend)}:
        raise UsageError(
            f"{backend.name} is not told how many threads to use",
            where=f"threads={threads}",
            why="it has no option of that name",
            fix="leave it out",
        )
    return build_backend({**backend.node(), "threads": threads})


def measurements_folder(cache: Path) -> Path:
    """Where backends keep what they measured and compiled, in a folder that holds finished stages too."""
    return cache / "timing"


def build_backend(node: Mapping[str, Any]) -> Backend:
    """The backend that a config node describes.

    Raises:
        UsageError: An unknown class or option, or a value of the wrong type.
    """
    retired = [key for key in RETIRED_BACKEND_KEYS if key in node and key not in _options(node)]
    if retired:
        key = retired[0]
        raise UsageError(
            f"'backend.{key}' is no option",
            where=f"backend.{key}",
            why="it is known of a backend's class, and not chosen",
            fix=f"leave it out; where the class is yours, give it {RETIRED_BACKEND_KEYS[key]}",
        )
    backend = instantiate(node, Backend, "backend")  # type: ignore[type-abstract]
    require_plain_name(backend.name, "backend.name")
    return backend


def backend_of(engine: Engine, modules: Collection[str] = ()) -> Backend:
    """The backend that an engine was built by, whatever the layout of its sidecar.

    Args:
        engine: Of a bundle, which may come from somebody else.
        modules: The user's own, whose classes it may name.

    Raises:
        CompileError: It names a class that is not known, describes no backend, or has an option of a machine's.
    """
    sidecar = engine.folder / Engine.SIDECAR
    check_classes(engine.backend, (BACKENDS,), sidecar, "backend", modules)
    with as_fault_of(sidecar, f"{sidecar.name} does not describe a backend", fix="compile the bundle again"):
        backend = build_backend(present_backend(engine.backend, _options(engine.backend)))
    brought = [name for name in backend.LOCAL if getattr(backend, name) is not None]
    if brought:
        raise CompileError(
            f"the bundle says what is yours to say: backend.{brought[0]}",
            where=str(sidecar),
            why="it may come from somebody else, and this names what is run on this machine",
            fix="compile the bundle again",
        )
    return backend


def _options(node: Mapping[str, Any]) -> frozenset[str]:
    """The options of a backend's class; none where there is no such class."""
    if not isinstance(node.get("_target_"), str):
        return frozenset()
    return frozenset(field.name for field in fields(backend_facts(node)))  # type: ignore[arg-type]


def run_in_batches(
    run: Callable[[Tensors], Tensors],
    takes: Engine | Program,
    tensors: Tensors,
    largest: int,
) -> Tensors:
    """Run any number of samples through an engine whose batch is fixed or bounded.

    Args:
        run: Runs one batch.
        takes: Its specs say whether the batch is fixed.
        tensors: Inputs by name, each [n, ...] with the same n.
        largest: The largest batch that an engine with a dynamic batch is given at once.

    Returns:
        Outputs by name, each [n, ...]. A fixed batch is filled up by repeating the last sample, and cut again.
    """
    fixed = takes.inputs[0].shape[0]
    size = fixed if isinstance(fixed, int) else largest
    count = count_samples(tensors)
    if size == 0:
        raise CompileError("there is nothing to run", where=takes.inputs[0].name, why="the engine's batch is empty")
    parts = []
    for start in range(0, count, size):
        part = {name: tensor[start : start + size] for name, tensor in tensors.items()}
        parts.append(run({name: _filled(tensor, fixed) for name, tensor in part.items()}))
    return {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}


def count_samples(tensors: Tensors) -> int:
    """How many samples there are in inputs that count them, each [n, ...].

    Raises:
        CompileError: None, or not as many in each.
    """
    counts = {name: len(tensor) for name, tensor in tensors.items()}
    empty = [name for name, count in counts.items() if count == 0]
    if empty:
        raise CompileError("there is nothing to run", where=empty[0], why="the batch is empty")
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise CompileError("the inputs count different numbers of samples", where=", ".join(counts), why=told)
    return next(iter(counts.values()))


def _filled(tensor: NDArray[Any], size: int | str) -> NDArray[Any]:
    if not isinstance(size, int) or len(tensor) == size:
        return tensor
    return np.concatenate([tensor, np.repeat(tensor[-1:], size - len(tensor), axis=0)])
