"""OpenVINO's own library: the one place that imports it, asks it about devices, and says why it refuses something."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from compiler.backends.libraries import library_problem
from compiler.errors import CompileError

OLDEST = "2025.0"
"""The first version that is known to work."""
OLDEST_NNCF = "3.4"
EXTRA = "openvino"
INSTALL = f"pip install 'deploy-compiler[{EXTRA}]'"
TELEMETRY = "openvino_telemetry"
"""What sends an event to Google for every import of OpenVINO and of NNCF, wherever it is installed: both do without."""
NOISE = re.compile(r"^(Exception from |Check '|FrontEnd API failed|Summary:|Model wasn't fully converted)")
"""Lines of OpenVINO's messages that tell of its own source."""


def problem() -> str:
    """Why OpenVINO cannot be used here; empty where it can. It is not imported."""
    return library_problem("openvino", EXTRA, OLDEST)


def load() -> Any:
    """The library.

    Raises:
        CompileError: It is not installed, too old, or broken.
    """
    return _required("openvino", problem())


def load_nncf() -> Any:
    """The library that quantises.

    Raises:
        CompileError: It is not installed, too old, or broken.
    """
    return _required("nncf", library_problem("nncf", EXTRA, OLDEST_NNCF))


def _required(name: str, why: str) -> Any:
    if why:
        raise CompileError(f"{name} cannot be used here", where=name, why=why, fix=INSTALL)
    try:
        with _without_telemetry():
            return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: a shared library of its own is missing
        raise CompileError(f"{name} cannot be loaded", where=name, why=_line(str(error)), fix=INSTALL) from error


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """A time in which nothing finds `openvino_telemetry`; what was imported before stays as it is."""
    before = sys.modules.get(TELEMETRY)
    sys.modules[TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[TELEMETRY]
        if before is not None:
            sys.modules[TELEMETRY] = before


def require_device(core: Any, device: str) -> None:
    """Refuse a device that is not here, and what chooses among devices: an engine is proven on one.

    Raises:
        CompileError: OpenVINO finds no such device.
    """
    found = list(core.available_devices)
    kinds = {name.partition(".")[0] for name in found}
    if device not in (*found, *kinds):
        raise CompileError(
            f"OpenVINO finds no device {device} here",
            where="backend.device",
            why=f"there is {', '.join(found) or 'none'}",
            fix=f"backend.device={found[0]}" if found else "",
        )


def compiled(core: Any, model: Any, device: str, properties: Mapping[str, Any], where: str) -> Any:
    """A model that is ready to run on a device.

    Raises:
        CompileError: OpenVINO refuses it, or the device is not here.
    """
    require_device(core, device)
    try:
        return core.compile_model(model, device, dict(properties))
    except Exception as error:  # OpenVINO raises RuntimeError and classes of its own, without a base class
        raise refused("OpenVINO cannot run this on this device", error, where) from error


def refused(what: str, error: Exception, where: str) -> CompileError:
    """An error of OpenVINO's, in one line."""
    fix = "python -m compiler plan, with the same overrides, says what stands in the way"
    return CompileError(what, where=where, why=reason(error), fix=fix)


def reason(error: Exception) -> str:
    """What OpenVINO says, without where in its source it says so."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not NOISE.match(line)]
    return _line(" ".join(told) or " ".join(filter(None, lines)))


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
