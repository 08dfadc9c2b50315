"""OpenVINO's adapter. The engine is its intermediate representation (IR): the graph in XML, and its weights beside it.

Unless told, OpenVINO computes in bf16 where a processor has it; told to, it computes in f32 where there is none, and
says neither. So every engine says what it is computed in, and is not opened where that is not heeded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

from compiler.artifact import Engine, OnnxProgram, Program, Tensors, installed_version
from compiler.artifact.lock import GET_AGAIN
from compiler.artifact.machine import this_machine
from compiler.backends import Backend, BuildRequest, LayerTime, Obstacle, Probe
from compiler.backends.openvino.compiled_models import compiled_models
from compiler.backends.openvino.library import compiled, device_problem, load, problem, refused
from compiler.backends.openvino.session import OpenVINOSession
from compiler.config.choices import require_choice
from compiler.config.ranges import between
from compiler.errors import CompileError, UsageError, nearest
from compiler.precision.int8 import ONNX_RUNTIME_AVX2, ONNX_RUNTIME_VNNI, QuantizationScheme

GRAPH_FILE, WEIGHTS_FILE = "end2end.xml", "end2end.bin"
"""The names that MMDeploy's SDK and its users know."""
F32, BF16, F16 = "f32", "bf16", "f16"
ELEMENT_TYPES: Mapping[str, str] = {"float": F32, "float32": F32, "bfloat16": BF16, "float16": F16}
"""What OpenVINO's types are called by it in words, and by the keys of a config."""
COMPUTED_IN: Mapping[str, tuple[str, ...]] = {
    "fp32": (F32,),
    "fp16": (F32, F16),
    "bf16": (BF16,),
    "int8": (F32, BF16, F16),
}
"""What an engine can be computed in, by its precision; in int8 it is what is not quantised. The first unless told."""
DEVICES = ("CPU", "GPU", "NPU")
DEVICE = re.compile(r"[A-Z]+(\.\d+){0,2}")
"""What a device may be called: a kind, and a number where there are several; those of plug-ins too."""
CHOOSERS = ("AUTO", "BATCH", "HETERO", "MULTI")
PLAN = "python -m compiler plan, with the same overrides, says what stands in the way"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "hint": ("latency", "throughput"),
    "inference_precision": (F32, BF16, F16),
    "quantizer": ("nncf", "compiler"),
    "preset": ("mixed", "performance"),
    "cpu": ("portable", "vnni"),
}


@dataclass(frozen=True, kw_only=True)
class OpenVINO(Backend):
    """OpenVINO 2025 and newer.

    Attributes:
        device: `CPU`, `GPU`, `NPU`, with a number behind a dot where there are several.
        hint: What it is tuned for: `latency`, or `throughput` of several inputs at once.
        threads: Of all streams together; None for OpenVINO's own choice.
        streams: How many inputs are computed at once; None for what the hint comes to.
        inference_precision: What numbers are computed in; None for what `COMPUTED_IN` says first.
        quantizer: What makes int8: `nncf`, or `compiler`, which writes pairs into the Program.
        preset: Of NNCF.
        cpu: What int8 is written for: `portable`, or `vnni` for processors whose sums of products never saturate.
        model_cache: Whether a compile keeps compiled models for the next; who opens a bundle says it with `cache=`.
    """

    TITLE: ClassVar[str] = "OpenVINO"
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "bf16", "int8")
    OWN_PRECISIONS: ClassVar[tuple[str, ...]] = ("fp16", "bf16")
    KEEPS_FP32: ClassVar[tuple[str, ...]] = ("int8",)
    TIMED: ClassVar[bool] = True
    TRITON: ClassVar[str] = "openvino"
    INT8_IN_GRAPH: ClassVar[str] = "backend.quantizer=compiler"

    device: str = "CPU"
    hint: str = "latency"
    threads: int | None = between(1, 1024, default=None)
    streams: int | None = between(1, 1024, default=None)
    inference_precision: str | None = None
    quantizer: str = "nncf"
    preset: str = "mixed"
    cpu: str = "portable"
    model_cache: bool = True

    def __post_init__(self) -> None:
        for key, known in CHOICES.items():
            value = getattr(self, key)
            if value is not None:  # as only inference_precision may be
                require_choice(value, known, f"backend.{key}")
        _require_device_word(self.device)

    @property
    def quantization(self) -> QuantizationScheme | None:
        """None for NNCF; else unsigned activations, and weights as the processor needs them."""
        if self.quantizer == "nncf":
            return None
        return ONNX_RUNTIME_VNNI if self.cpu == "vnni" else ONNX_RUNTIME_AVX2

    def probe(self) -> Probe:
        """Look for the `openvino` distribution; it is imported where another device than the processor is meant."""
        why = problem() or device_problem(self.device)
        if why:
            return Probe(installed_version("openvino"), problem=why)
        made_by = {**self.machine(), "nncf": installed_version("nncf")}
        return Probe(installed_version("openvino"), devices=(self.device,), machine=made_by)

    def machine(self) -> dict[str, str]:
        """The processor, whose features decide which kernels run, and the library."""
        return this_machine("openvino")

    def plan(self, program: Program) -> tuple[Obstacle, ...]:
        """What OpenVINO does not convert; where it is not installed, what is known of it."""
        from compiler.backends.openvino.plan import plan

        return plan(OnnxProgram.of(program))

    def build(self, request: BuildRequest) -> Engine:
        """Write the IR, and open it once so that what OpenVINO refuses is refused here."""
        program = OnnxProgram.of(request.program)
        computed_in = self._computed_in(request.precision)
        openvino = load()
        given = self._portable(program) if request.precision == "int8" else None
        try:
            model = openvino.Core().read_model(program.path if given is None else given)
        except Exception as error:  # OpenVINO raises RuntimeError and classes of its own, without a base class
            raise refused("OpenVINO cannot take this Program", error, str(program.path), PLAN) from error
        for port, spec in zip(model.inputs, program.inputs, strict=True):
            port.get_node().set_friendly_name(spec.name)  # the tensor's name is the output's where it is one
        if request.calibration is not None:
            from compiler.backends.openvino.quantize import quantized

            model = quantized(model, program, request, self.preset, self.cpu)
        openvino.save_model(model, request.folder / GRAPH_FILE, compress_to_fp16=request.precision == "fp16")
        node = replace(self, inference_precision=computed_in).node()
        specs = program.inputs, program.outputs
        engine = Engine(request.folder, (GRAPH_FILE, WEIGHTS_FILE), node, *specs, machine=self.machine())
        replace(self, inference_precision=computed_in).open(engine)
        engine.save()
        return engine

    def files(self, engine: Engine) -> tuple[str, ...]:
        """The graph and its weights, which OpenVINO looks for beside it."""
        return (GRAPH_FILE, WEIGHTS_FILE)

    def open(self, engine: Engine) -> OpenVINOSession:
        """Open the engine on the configured device."""
        return self._open(engine, {})

    def in_streams(self, streams: int) -> Backend:
        """A compiled model of so many streams, tuned for what they compute together; see `Backend`."""
        return replace(self, hint="throughput", streams=streams)

    def open_cached(self, engine: Engine, cache: Path) -> OpenVINOSession:
        """Open the engine, from what an earlier run compiled of the same files where that is there."""
        files = {name: engine.folder / name for name in self.files(engine)}
        made_for = {**self.machine(), **{key: str(value) for key, value in self._properties()}, "device": self.device}
        with compiled_models(cache, files, made_for) as folder:
            return self._open(engine, {"CACHE_DIR": str(folder)})

    def open_to_prove(self, engine: Engine, cache: Path) -> OpenVINOSession:
        """Open the engine, from the cache unless `model_cache` is off."""
        return self.open_cached(engine, cache) if self.model_cache else self.open(engine)

    def layers(self, engine: Engine, tensors: Tensors, iterations: int) -> tuple[LayerTime, ...]:
        """What of the compiled model is executed, layer by layer; see `Backend.layers`."""
        session = self._open(engine, {"PERF_COUNT": "YES"})
        session.run(tensors)
        taken = dict[tuple[str, str], list[float]]()
        for _ in range(iterations):
            session.run(tensors)
            for name, operator, seconds in session.executed():
                taken.setdefault((name, operator), []).append(seconds)
        return tuple(LayerTime(*layer, fmean(runs)) for layer, runs in taken.items())

    def _open(self, engine: Engine, properties: Mapping[str, Any]) -> OpenVINOSession:
        openvino = load()
        core = openvino.Core()
        model = read_ir(openvino, engine.folder / GRAPH_FILE)
        opened = compiled(core, model, self.device, {**dict(self._properties()), **properties}, str(engine.path))
        self._require_computed_in(opened, engine)
        return OpenVINOSession(opened, engine)

    def _properties(self) -> Iterator[tuple[str, Any]]:
        yield "INFERENCE_PRECISION_HINT", self.inference_precision or F32
        yield "PERFORMANCE_HINT", self.hint.upper()
        if self.threads is not None:
            yield "INFERENCE_NUM_THREADS", self.threads
        if self.streams is not None:
            yield "NUM_STREAMS", self.streams

    def _portable(self, program: OnnxProgram) -> bytes | None:
        """A Program that somebody else quantised, with unsigned weights where only some processors multiply right.

        None where it is read as it is. OpenVINO computes a layer in fp32 whose weights are unsigned.
        """
        if self.cpu == "vnni":
            return None
        import onnx

        from compiler.graphs import with_unsigned_weights

        portable = with_unsigned_weights(onnx.load(program.path), beside_signed=True)
        return None if portable is None else portable.SerializeToString()

    def _computed_in(self, precision: str) -> str:
        """What an engine of a precision is computed in.

        Raises:
            UsageError: The config asks for another.
        """
        allowed = COMPUTED_IN[precision]
        chosen = self.inference_precision or allowed[0]
        if chosen not in allowed:
            raise UsageError(
                f"an engine in {precision} is not computed in {chosen}",
                where="backend.inference_precision",
                why=f"precision={precision} is {' or '.join(allowed)}",
                fix="leave backend.inference_precision out, or choose another precision",
            )
        return chosen

    def _require_computed_in(self, opened: Any, engine: Engine) -> None:
        """Refuse to compute in something else than what the engine is proven in, which OpenVINO does in silence.

        Raises:
            CompileError: The device has no such arithmetic.
        """
        wanted = self.inference_precision or F32
        try:
            name = opened.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        except Exception as error:  # OpenVINO raises RuntimeError and classes of its own, without a base class
            what = f"OpenVINO does not say what {self.device} computes in"
            raise refused(what, error, str(engine.path), "compile it for another backend.device") from error
        found = ELEMENT_TYPES.get(name, name)
        if found != wanted:
            raise CompileError(
                f"this {self.device} does not compute in {wanted}",
                where=str(engine.path),
                why=f"OpenVINO would compute in {found} here, and say nothing",
                fix=f"compile for what it has: precision=fp32; or where there is a {self.device} that has {wanted}",
            )


def _require_device_word(device: str) -> None:
    """Refuse what no device is called, and what chooses among devices.

    Raises:
        UsageError: It is such a word.
    """
    where = "backend.device"
    if device.partition(":")[0] in CHOOSERS:
        why = "OpenVINO chooses the devices then, and an engine is proven on one"
        raise UsageError(f"{device} is no device", where=where, why=why, fix=f"name one, such as {DEVICES[0]}")
    if not DEVICE.fullmatch(device):
        raise UsageError(f"'{device}' is no device of OpenVINO's", where=where, fix=nearest(device, DEVICES))


def read_ir(openvino: Any, path: Path) -> Any:
    """A model in OpenVINO's own form, and in no other: it would read ONNX too, and what that refers to.

    Raises:
        CompileError: It is missing, or is something else.
    """
    reader = openvino.frontend.FrontEndManager().load_by_framework("ir")
    try:
        return reader.convert(reader.load(str(path)))
    except Exception as error:  # OpenVINO raises RuntimeError and classes of its own, without a base class
        raise refused(f"OpenVINO refuses {path.name}", error, str(path), f"{GET_AGAIN}, or compile it again") from error
