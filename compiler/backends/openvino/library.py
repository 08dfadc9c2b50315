"""OpenVINO's own library: the one place that imports it, asks it about devices, and says why it refuses something."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
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


def device_problem(device: str) -> str:
    """Why an engine cannot be run on a device here; empty where it can.

    OpenVINO is asked where it is not the processor, which is everywhere.
    """
    if device in ("CPU", "CPU.0"):
        return ""
    try:
        found = list(load().Core().available_devices)
    except CompileError as error:
        return error.why or error.what
    return "" if named_here(device, found) else f"OpenVINO finds no device {device} here; {_told(found)}"


def named_here(device: str, found: Sequence[str]) -> str:
    """What OpenVINO calls a device, of those that it found; empty where it is none of them."""
    kind, _, number = device.partition(".")
    if number == "0" and kind in found:  # one that has no number, since it is the only one
        return kind
    is_here = device in found or (not number and any(one.startswith(f"{kind}.") for one in found))
    return device if is_here else ""


def required_device(core: Any, device: str) -> str:
    """What OpenVINO calls a device that is here.

    Raises:
        CompileError: OpenVINO finds no such device.
    """
    found = list(core.available_devices)
    name = named_here(device, found)
    if not name:
        raise CompileError(
            f"OpenVINO finds no device {device} here",
            where="backend.device",
            why=_told(found),
            fix=f"backend.device={found[0]}" if found else "",
        )
    return name


def _told(devices: Sequence[str]) -> str:
    return f"there is {', '.join(devices) or 'none'}"


def compiled(core: Any, model: Any, device: str, properties: Mapping[str, Any], where: str) -> Any:
    """A model that is ready to run on a device.

    Raises:
        CompileError: OpenVINO refuses it, or the device is not here.
    """
    name = required_device(core, device)
    try:
        return core.compile_model(model, name, dict(properties))
    except Exception as error:  # OpenVINO raises RuntimeError and classes of its own, without a base class
        fix = "compile it again, with the OpenVINO that is installed here or for another backend.device"
        raise refused("OpenVINO cannot run this on this device", error, where, fix) from error


def refused(what: str, error: Exception, where: str, fix: str) -> CompileError:
    """An error of OpenVINO's, in one line."""
    return CompileError(what, where=where, why=reason(error), fix=fix)


def reason(error: Exception) -> str:
    """What OpenVINO says, without where in its source it says so."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not NOISE.match(line)]
    return _line(" ".join(told) or " ".join(filter(None, lines)))


def _line(text: str) -> str:
    return " ".join(text.split())[:500]
