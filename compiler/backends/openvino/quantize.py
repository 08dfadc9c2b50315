"""Int8 by NNCF, Intel's own quantiser: ranges from calibration, biases corrected for what rounding does to them."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any

from compiler.artifact import OnnxProgram, Tensors
from compiler.backends import BuildRequest
from compiler.backends.openvino.library import load_nncf, reason
from compiler.errors import CompileError

EVERY_BATCH = 2**31 - 1
"""NNCF looks at 300 unless told; how many there are says `calibration.limit`."""
PART_NAMES = ("", "/WithoutBiases")
"""What OpenVINO appends to the name of an ONNX node that it makes several of."""


@dataclass(frozen=True)
class Batches:
    """Calibration batches that can be gone through several times, as NNCF does.

    Attributes:
        read: Reads them once.
    """

    read: Callable[[], Iterator[Tensors]]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(dict, self.read())


def quantized(model: Any, program: OnnxProgram, request: BuildRequest, preset: str, cpu: str) -> Any:
    """A model of OpenVINO's with its layers in int8, but for what is excluded.

    Args:
        model: In fp32.
        program: That it was read from.
        request: Has the calibration data, and what stays in fp32.
        preset: `mixed` or `performance`.
        cpu: `portable` leaves weights 7 bits, whose products never saturate; `vnni` 8.

    Raises:
        UsageError: A pattern of `keep_fp32` matches nothing.
        CompileError: NNCF is not installed, or refuses the model or the data.
    """
    assert request.calibration is not None
    ignored = _ignored(model, program, request.keep_fp32)
    with _silent():
        nncf = load_nncf()
        full, half = nncf.OverflowFix.DISABLE, nncf.OverflowFix.ENABLE
        parameters = nncf.AdvancedQuantizationParameters(overflow_fix=full if cpu == "vnni" else half)
        try:
            return nncf.quantize(
                model,
                nncf.Dataset(Batches(request.calibration)),
                preset=nncf.QuantizationPreset(preset),
                subset_size=EVERY_BATCH,
                ignored_scope=nncf.IgnoredScope(names=ignored) if ignored else None,
                advanced_parameters=parameters,
            )
        except CompileError:  # of the calibration data
            raise
        except Exception as error:  # NNCF and OpenVINO raise what they like
            raise CompileError(
                "NNCF cannot quantise this Program",
                where=str(program.path),
                why=reason(error),
                fix="keep in fp32 what it names (keep_fp32=...), or let ours write int8: backend.quantizer=compiler",
            ) from error


def _ignored(model: Any, program: OnnxProgram, patterns: Sequence[str]) -> list[str]:
    """The names of OpenVINO's operators that come from the nodes of the Program that a user excludes."""
    if not patterns:
        return []
    import onnx

    from compiler.graphs import name_of
    from compiler.precision.excluded import asked_for

    nodes = list(onnx.load(program.path, load_external_data=False).graph.node)
    asked = {name_of(nodes[index]) for index in asked_for(nodes, patterns)}
    names = {name + part for name in asked for part in PART_NAMES}
    return sorted({operator.get_friendly_name() for operator in model.get_ops()} & names)


@contextmanager
def _silent() -> Iterator[None]:
    """A time in which NNCF prints nothing, and makes no logger of its kind the one of everybody."""
    loggers, heard = logging.getLoggerClass(), io.StringIO()
    try:
        with redirect_stdout(heard), redirect_stderr(heard):
            yield
    finally:
        logging.setLoggerClass(loggers)
