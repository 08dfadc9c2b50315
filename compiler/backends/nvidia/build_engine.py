#!/usr/bin/env python3
"""Build an inference engine from the ONNX file beside this script, with NVIDIA's TensorRT or TensorRT-RTX.

    python -I build_engine.py                  end2end.onnx becomes end2end.engine
    python -I build_engine.py --workspace 2    ... with no more than 2 GiB of GPU memory while building

TensorRT builds on the GPU that will run the engine, and for that version of TensorRT alone: run this script there.
It needs Python 3.10 and TensorRT 10 or 11, nothing else. Exit status: 0 built, 1 failed, 2 wrong usage.
"""

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    # The first place is this script's own folder: what lies beside it may be somebody else's, and is no module.
    sys.path[:] = [place for place in sys.path if place != sys.path[0]]

import argparse
import functools
import hashlib
import importlib
import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TextIO

Profile = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]
"""The smallest, the usual and the largest shape, by input."""
Report = Callable[[float, str], None]
"""Is told the share that is done, between 0 and 1, and the name of the phase. What it raises ends the build."""


@dataclass(frozen=True)
class Settings:
    """How to build.

    Attributes:
        library: The Python package: `tensorrt` or `tensorrt_rtx`.
        profiles: The shapes that the engine takes; it is fastest at the usual ones.
        compute_capabilities: TensorRT-RTX only: the GPUs to build for, such as SM86; none for Ampere and later.
        workspace: GPU memory that a layer may use for intermediate results, in GiB; None for all there is.
        optimization_level: TensorRT only: 0 (fast to build) to 5 (fast to run); None for the library's own, 3.
        tf32: Whether fp32 convolutions and matrix products may round their inputs to TF32's 10-bit mantissas.
        version_compatible: TensorRT only: whether later versions of the same major release can run the engine.
        strip_weights: Whether to leave the weights out; they are filled in from the ONNX file when it is opened.
        dla_core: TensorRT on Jetson only: the DLA core that runs what it can; None for the GPU alone.
    """

    library: str = "tensorrt"
    profiles: tuple[Profile, ...] = ()
    compute_capabilities: tuple[str, ...] = ()
    workspace: float | None = None
    optimization_level: int | None = None
    tf32: bool = False
    version_compatible: bool = False
    strip_weights: bool = False
    dla_core: int | None = None


LAYOUT = 1
"""Of `engine_details.json`, whose `version` is the library's."""
SETTINGS = Settings()


class BuildError(Exception):
    """The library refuses: what failed, and what the library says."""


class Log:
    """What the library says while it builds: the severity and the text of each message.

    Args:
        file: Gets each message as it comes, so that it also tells of a crash.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        self._file = file
        self._messages: list[tuple[str, str]] = []

    def add(self, severity: str, text: str) -> None:
        """Take note of a message."""
        self._messages.append((severity, text))
        if self._file and severity != "VERBOSE":
            print(f"{severity:8} {text}", file=self._file, flush=True)

    def of(self, *severities: str) -> list[str]:
        """The messages of some severities."""
        return [text for severity, text in self._messages if severity in severities]

    def listener(self, trt: Any) -> Any:
        """What the library talks to, which tells this log from now on."""
        logger = the_logger(trt)
        logger.told = self
        return logger


@functools.cache
def the_logger(trt: Any) -> Any:
    """The library's logger: it keeps its first one while anything of it lives, and ignores all others."""

    class Logger(trt.ILogger):  # type: ignore[misc]
        def log(self, severity: Any, text: str) -> None:
            self.told.add(severity.name, text)

    return Logger()


class Progress:
    """Turns the library's nested phases, each with a number of steps, into one share that never falls."""

    def __init__(self, report: Report) -> None:
        super().__init__()  # of the library's own class beside this one: see `build`
        self.interruption: BaseException | None = None
        self._report = report
        self._phases: dict[str, tuple[str | None, int, int]] = {}  # parent, steps, steps that are done
        self._share = 0.0
        self._lock = threading.RLock()  # the library calls from several threads

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Take note of a phase within another one."""
        self._advance(phase_name, parent_phase, max(num_steps, 1), 0)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Take note of a finished step; return whether to go on."""
        parent, steps, _ = self._phases[phase_name]
        self._advance(phase_name, parent, steps, step + 1)
        return self.interruption is None

    def phase_finish(self, phase_name: str) -> None:
        """Forget a phase."""
        self._phases.pop(phase_name, None)

    def _advance(self, phase: str, parent: str | None, steps: int, done: int) -> None:
        try:
            with self._lock:
                self._phases[phase] = (parent, steps, done)
                self._share = max(self._share, self._done(None))
                if self.interruption is None:
                    self._report(self._share, phase)
        except BaseException as error:  # Control-C too: it must not cross the library's own code
            self.interruption = error

    def _done(self, parent: str | None) -> float:
        """The share of a phase's current step that the phases within it have done."""
        inside = [(name, steps, done) for name, (above, steps, done) in self._phases.items() if above == parent]
        return max((min((done + self._done(name)) / steps, 1.0) for name, steps, done in inside), default=0.0)


def build(
    trt: Any, program: Path, settings: Settings, log: Log, report: Report, timing_cache: bytes | None
) -> tuple[Any, dict[str, Any], bytes]:
    """The engine of an ONNX file, what is known of it, and the library's measurements for the next build.

    Args:
        trt: The library: the module `tensorrt` or `tensorrt_rtx`.
        program: The ONNX file.
        settings: How to build.
        log: Collects what the library says.
        report: Told how far it is.
        timing_cache: From a build before, empty in the first one; None to keep none.

    Raises:
        BuildError: The library refuses the file, a profile or a setting.
        BaseException: What `report` raised.
    """
    start = time.perf_counter()
    logger = log.listener(trt)
    progress = type("Monitor", (Progress, trt.IProgressMonitor), {})(report)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parse(trt, network, logger, program)
    config = configure(trt, builder, settings)
    config.progress_monitor = progress
    if timing_cache is not None and not config.set_timing_cache(config.create_timing_cache(timing_cache), False):
        config.set_timing_cache(config.create_timing_cache(b""), False)  # it was another version's, or another GPU's
    plan = builder.build_serialized_network(network, config)
    if progress.interruption is not None:
        raise progress.interruption
    if plan is None:
        errors = "\n".join(log.of("ERROR", "INTERNAL_ERROR")[-3:])
        raise BuildError(f"{trt.__name__} {trt.__version__} cannot build {program.name}", errors)
    measured = bytes(config.get_timing_cache().serialize()) if timing_cache is not None else b""
    details = {
        "layout": LAYOUT,
        **asdict(settings),
        "version": trt.__version__,
        "seconds": round(time.perf_counter() - start, 3),
        "bytes": len(memoryview(plan)),
        "warnings": log.of("WARNING"),
        "layers": layers(network),
    }
    return plan, details, measured


def parse(trt: Any, network: Any, logger: Any, program: Path) -> None:
    """Read an ONNX file into a network; raise all that the parser says against it."""
    trt.init_libnvinfer_plugins(logger, "")
    parser = trt.OnnxParser(network, logger)
    if parser.parse_from_file(str(program)):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    said = [f"{error.node_operator() or 'file'} ({error.node_name()}): {error.desc()}" for error in errors]
    raise BuildError(f"{trt.__name__} {trt.__version__} cannot read {program.name}", "\n".join(said))


def configure(trt: Any, builder: Any, settings: Settings) -> Any:
    """The library's own form of the settings."""
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # so that the engine can be inspected by layer
    if not settings.tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if settings.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if settings.strip_weights:
        config.set_flag(trt.BuilderFlag.STRIP_PLAN)
    if settings.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(settings.workspace * 2**30))
    if settings.optimization_level is not None:
        config.builder_optimization_level = settings.optimization_level
    if settings.dla_core is not None:
        if settings.dla_core >= builder.num_DLA_cores:
            raise BuildError(f"there is no DLA core {settings.dla_core}", f"this machine has {builder.num_DLA_cores}")
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = settings.dla_core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    if settings.compute_capabilities:
        config.num_compute_capabilities = len(settings.compute_capabilities)
    for index, capability in enumerate(settings.compute_capabilities):
        config.set_compute_capability(getattr(trt.ComputeCapability, capability), index)
    for shapes in settings.profiles:
        profile = builder.create_optimization_profile()
        for name, (smallest, usual, largest) in shapes.items():
            profile.set_shape(name, smallest, usual, largest)
        if config.add_optimization_profile(profile) < 0:
            raise BuildError("the library does not accept these shapes", str(shapes))
    return config


def layers(network: Any) -> list[dict[str, str]]:
    """The name, the type and the precision of each layer of a network."""
    found = map(network.get_layer, range(network.num_layers))
    described = [(layer.name, layer.type.name, layer.get_output(0).dtype.name) for layer in found if layer.num_outputs]
    return [dict(zip(("name", "type", "precision"), texts, strict=True)) for texts in described]


def main() -> int:
    """Build as the command line says; return the exit status."""
    options = read_command_line()
    if options.device:
        os.environ["CUDA_VISIBLE_DEVICES"] = options.device
    settings = replace(SETTINGS, workspace=options.workspace, dla_core=options.dla_core)
    output, cache = options.output, options.timing_cache
    measured = None if cache is None else cache.read_bytes() if cache.is_file() else b""
    sys.path.extend(options.packages)
    words = output.with_name("build.log")
    words.unlink(missing_ok=True)  # it may be a link
    with words.open("x", encoding="utf-8") as file:
        log = Log(file)
        try:
            trt = importlib.import_module(settings.library)
            plan, details, measured = build(trt, options.program, settings, log, print_progress, measured)
        except (BuildError, ImportError, OSError, KeyboardInterrupt) as error:
            print("\nfailed:", *(error.args or ["interrupted"]), sep="\n", file=sys.stderr)
            return 1
    write(output, plan)
    write(output.with_name("engine_details.json"), json.dumps(details, indent=2).encode())
    record(output, output.with_name("engine_details.json"), output.with_name("build.log"))
    if cache is not None:
        write(cache, measured)
    print(*(f"\nwarning: {text}" for text in log.of("WARNING")), sep="", file=sys.stderr)
    print(f"\nwrote {output}: {details['bytes'] / 2**20:.1f} MiB in {details['seconds']:.1f} s")
    return 0


def read_command_line() -> argparse.Namespace:
    """The options of the command line; a wrong one ends the program with status 2."""
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--program", type=Path, default=here / "end2end.onnx", help="the ONNX file to read")
    add("--output", type=Path, default=here / "end2end.engine", help="the engine to write")
    add("--workspace", type=float, default=SETTINGS.workspace, metavar="GIB", help="GPU memory to use")
    add("--device", metavar="N", help="the GPU to build on and for; the first one if not given")
    add("--dla-core", type=int, default=SETTINGS.dla_core, metavar="N", help="Jetson's DLA core to use")
    add("--timing-cache", type=Path, metavar="FILE", help="measurements to use again, and to keep for the next build")
    add("--packages", action="append", default=[], metavar="FOLDER", help="look for the library here too")
    options = parser.parse_args()
    if not options.program.is_file():
        parser.error(f"there is no file {options.program}")
    return options


def write(path: Path, content: Any) -> None:
    """Write a whole file, or leave the old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.urandom(16).hex()}.partial")
    with partial.open("xb") as file:
        file.write(content)
    partial.replace(path)


def record(*files: Path) -> None:
    """Tell the `lock.json` beside these files, where they lie in a bundle, what they are from now on."""
    lock = files[0].with_name("lock.json")
    if not lock.is_file():
        return
    try:
        content = json.loads(lock.read_text(encoding="utf-8"))
        content["files"].update({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        print(f"\nwarning: {lock} is broken, and knows nothing of the new engine", file=sys.stderr)
    else:
        write(lock, f"{json.dumps(content, indent=2)}\n".encode())


def print_progress(share: float, phase: str) -> None:
    """Show how far it is: in one line of a terminal, and line by line to whatever else reads it."""
    start, end = ("\r", "") if sys.stdout.isatty() else ("", "\n")
    print(f"{start}{share:6.1%}  {phase:<60.60}", end=end, flush=True)


if __name__ == "__main__":
    sys.exit(main())
