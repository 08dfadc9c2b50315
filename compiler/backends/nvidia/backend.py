"""The adapter that TensorRT and TensorRT-RTX share."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from compiler.artifact import Engine, Program, Tensors, installed_version, write_json, write_text, written_whole
from compiler.backends import PROGRAM_FILE, Backend, BuildRequest, LayerTime, Obstacle, Probe
from compiler.backends.child import run_script
from compiler.backends.libraries import version_problem
from compiler.backends.nvidia.build_engine import Settings
from compiler.backends.nvidia.cuda import Gpu, Gpus, alone, find_gpus
from compiler.backends.nvidia.details import DETAILS_FILE, check_version, inspect, read_details
from compiler.backends.nvidia.profiles import check_profiles, for_batch
from compiler.backends.nvidia.script import build_script
from compiler.backends.nvidia.session import NvidiaSession
from compiler.config.ranges import between
from compiler.errors import CompileError
from compiler.graphs.self_contained import require_self_contained
from compiler.precision.int8 import TENSORRT, QuantizationScheme

ENGINE_FILE = "end2end.engine"
"""The name that MMDeploy's SDK and its users know."""
SCRIPT_FILE = "build_engine.py"
LOG_FILE = "build.log"
PLUGINS = "TRT"
"""The domain of operators that the library has plugins for."""


@dataclass(frozen=True, kw_only=True)
class NvidiaBackend(Backend):
    """What the options of both libraries have in common.

    Attributes:
        workspace: GPU memory that a layer may use for intermediate results, in GiB; None for all there is.
        tf32: Whether fp32 convolutions and matrix products may round their inputs to TF32's 10-bit mantissas.
        strip_weights: Whether to leave the weights out of the engine, and fill them in when it is opened from the
            Program, which then lies beside it.
        device: The GPU, as CUDA counts.
        profile_batches: Batches that get an optimization profile of their own, beside the one for the whole range.
    """

    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "bf16", "int8")
    PROFILED: ClassVar[bool] = True
    DEFERRED_BUILD: ClassVar[bool] = True
    LIBRARY: ClassVar[str]
    """The Python package."""
    OLDEST: ClassVar[str]
    """The first version of it that will do."""

    workspace: float | None = between(1e-3, 2**20, default=None)
    tf32: bool = False
    strip_weights: bool = False
    device: int = between(0, 1023, default=0)
    profile_batches: tuple[int, ...] = ()

    @property
    def quantization(self) -> QuantizationScheme:
        """Symmetric, around the layers that gain."""
        return TENSORRT

    @abstractmethod
    def building_problem(self, gpus: Gpus) -> str:
        """Why the library, which is installed, cannot build an engine with these GPUs; empty where it can."""

    @abstractmethod
    def building_gpu(self, gpus: Gpus) -> Gpu | None:
        """The GPU that engines are built on; None for none.

        Raises:
            CompileError: The library needs one, and the configured one is not there.
        """

    @abstractmethod
    def targets(self, gpus: Gpus) -> tuple[str, ...]:
        """The compute capabilities that engines are built for, such as `SM86`; none where that is unknown."""

    def settings(self, request: BuildRequest) -> Settings:
        """What `build_engine.py` needs to know.

        Raises:
            UsageError: A profile does not go with the Program.
        """
        program, batches = request.program, self.profile_batches
        own = [for_batch(profile, batch, program) for profile in request.profiles for batch in batches]
        chosen = (*request.profiles, *own)
        check_profiles(program, chosen)
        profiles = tuple(
            {name: (profile.smallest[name], profile.usual[name], profile.largest[name]) for name in profile.usual}
            for profile in chosen
        )
        return Settings(
            library=self.LIBRARY,
            profiles=profiles,
            workspace=self.workspace,
            tf32=self.tf32,
            strip_weights=self.strip_weights,
        )

    def measurements(self, folder: Path, version: str, gpu: Gpu | None) -> Path | None:
        """The file that the library keeps its measurements in between builds; None for none."""
        return None

    def probe(self) -> Probe:
        """Look for the library, without importing it, and for a GPU."""
        gpus = find_gpus()
        problem = self._library_problem()
        return Probe(
            "" if problem else self._version(),
            devices=() if problem else tuple(gpu.name for gpu in gpus.found),
            build_problem=problem or self.building_problem(gpus),
            run_problem=problem or gpus.problem,
        )

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """Look every operator up in what is known of the library; it needs not be installed."""
        from compiler.backends.nvidia.plan import plan

        return plan(program, self.LIBRARY, self._version(), self.targets(find_gpus()))

    def build(self, request: BuildRequest) -> Engine:
        """Build `end2end.engine`, with `engine_details.json`, `build.log` and what `deferred_build` writes."""
        self.settings(request)  # refuses wrong profiles before anything is written
        gpus = find_gpus()
        problem = self._library_problem() or self.building_problem(gpus)
        if problem:
            fix = "on the machine that will run the engine: python -I build_engine.py, which lies beside the Program"
            raise CompileError(f"{self.TITLE} cannot build an engine here", where=self.name, why=problem, fix=fix)
        gpu = self.building_gpu(gpus)
        engine = self.deferred_build(request)
        cache = self.measurements(request.cache, self._version(), gpu)
        known = cache is not None and cache.is_file()
        self._run_script(request, gpu, cache)
        details = {
            **read_details(engine),
            "precision": request.precision,
            "timing_cache": known,
            "targets": self.targets(gpus),
            "driver": gpus.driver,
            "gpu": gpu and asdict(gpu),
            "inspected": None if gpu is None or self.strip_weights else self._inspected(engine, gpu),
        }
        write_json(request.folder / DETAILS_FILE, details)
        request.progress(1.0, "built")
        return engine

    def deferred_build(self, request: BuildRequest) -> Engine:
        """Write the Program, `build_engine.py` that makes an engine of it elsewhere, and the sidecar of that engine."""
        write_text(request.folder / SCRIPT_FILE, build_script(self.settings(request)))
        with written_whole(request.folder / PROGRAM_FILE) as partial:
            partial.write_bytes(without_plugins(request.program))
        files = (ENGINE_FILE, PROGRAM_FILE) if self.strip_weights else (ENGINE_FILE,)
        engine = Engine(request.folder, files, self.node(), request.program.inputs, request.program.outputs)
        engine.save()
        return engine

    def deferred_build_advice(self, bundle: Path) -> str:
        """With the script, which needs the library alone, or with the compiler, which proves the engine too."""
        return f"python -I {bundle / SCRIPT_FILE}, or {super().deferred_build_advice(bundle)}"

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The engine's, what is known of it, and what its weights are filled in from."""
        return (*super().files(engine), DETAILS_FILE, *((PROGRAM_FILE,) if self.strip_weights else ()))

    def open(self, engine: Engine) -> NvidiaSession:
        """Open the engine on the configured GPU."""
        trt, details = self._library(), read_details(engine)
        check_version(engine, details, self.LIBRARY, trt.__version__)
        gpus = find_gpus()
        if gpus.problem:
            raise CompileError(f"the engine cannot be opened here: {gpus.problem}", where=str(engine.path))
        weights = engine.folder / PROGRAM_FILE if self.strip_weights else None
        if weights is not None:
            require_self_contained(weights)
        index, code = gpus.at(self.device).index, self.engine_holds_code
        return NvidiaSession(trt, engine, index, details.get("dla_core"), weights, host_code=code)

    def layers(self, engine: Engine, tensors: Tensors, iterations: int) -> tuple[LayerTime, ...]:
        """The layers by the names that the library has for them, which say what they are made of; see `Backend`."""
        seconds = self.open(engine).layer_seconds(tensors, iterations)
        return tuple(LayerTime(name, "", taken) for name, taken in seconds.items())

    def _inspected(self, engine: Engine, gpu: Gpu) -> Any:
        """What the library tells of the layers of an engine that was just built."""
        return inspect(self._library(), engine, gpu, host_code=self.engine_holds_code)

    def _run_script(self, request: BuildRequest, gpu: Gpu | None, cache: Path | None) -> None:
        """Build with our own script; where that fails its log is kept, for the folder is not."""
        folder = request.folder.absolute()
        files = {"--program": folder / PROGRAM_FILE, "--output": folder / ENGINE_FILE, "--timing-cache": cache}
        arguments = [word for option, path in files.items() if path for word in (option, str(path.absolute()))]
        script = build_script(self.settings(request))
        log = folder / LOG_FILE
        log.unlink(missing_ok=True)
        try:
            run_script(script, arguments, log, request.progress, alone(gpu))
        except CompileError as error:
            request.cache.mkdir(parents=True, exist_ok=True)
            log.touch()
            kept = shutil.copy(log, request.cache)
            what = f"{self.TITLE}: {error.what}"
            fix = f"read {kept}; python -m compiler plan, with the same overrides, says what stands in the way"
            raise CompileError(what, where=str(request.program.path), why=error.why, fix=fix) from error

    def _library_problem(self) -> str:
        """Why the library cannot be used, before it is imported; empty where it can."""
        if importlib.util.find_spec(self.LIBRARY) is None:
            return version_problem(self.LIBRARY, "", self._extra, self.OLDEST)
        found = self._version()  # not known of every way to install it
        return version_problem(self.LIBRARY, found, self._extra, self.OLDEST) if found else ""

    @property
    def _extra(self) -> str:
        return f"'deploy-compiler[{self.LIBRARY.replace('_', '-')}]'"

    def _library(self) -> Any:
        try:
            return importlib.import_module(self.LIBRARY)
        except (ImportError, OSError) as error:  # OSError: a shared library of its own is missing
            what = f"{self.TITLE} cannot be loaded"
            raise CompileError(what, where=self.LIBRARY, why=str(error), fix=f"pip install {self._extra}") from error

    def _version(self) -> str:
        return first_version([self.LIBRARY, *(f"{self.LIBRARY}_cu{cuda}_bindings" for cuda in (13, 12))])


def without_plugins(program: Program) -> bytes:
    """A Program's file without definitions of what the library has plugins for: its parser would prefer them."""
    import onnx

    model = onnx.load(program.path)
    own = [function for function in model.functions if function.domain != PLUGINS]
    del model.functions[:]
    model.functions.extend(own)
    return bytes(model.SerializeToString(deterministic=True))


def first_version(distributions: Sequence[str]) -> str:
    """The version of the first of these distributions that is installed; empty where none is."""
    return next(filter(None, map(installed_version, distributions)), "")
