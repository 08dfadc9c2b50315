"""What is known of an engine beside its bytes: `engine_details.json`."""

from __future__ import annotations

import json
from typing import Any

from compiler.artifact import Engine, read_json
from compiler.backends.nvidia.build_engine import Log
from compiler.backends.nvidia.cuda import Gpu, checked, load_cuda
from compiler.backends.nvidia.session import new_runtime
from compiler.errors import CompileError

DETAILS_FILE = "engine_details.json"


def read_details(engine: Engine) -> dict[str, Any]:
    """The details of an engine.

    Raises:
        CompileError: They are missing, or say nothing of the library.
    """
    path = engine.folder / DETAILS_FILE
    details = read_json(path)
    if not isinstance(details, dict) or not {"library", "version"} <= details.keys():
        raise CompileError(f"{DETAILS_FILE} does not describe an engine", where=str(path), fix="build the engine again")
    return details


def check_version(engine: Engine, details: dict[str, Any], library: str, installed: str) -> None:
    """Check that the installed library can open an engine, before it is asked to.

    An engine opens in the version that built it alone; a version-compatible one also in later versions of the same
    major release (NVIDIA's developer guide, "Version Compatibility").

    Raises:
        CompileError: It cannot.
    """
    built = f"{details['library']} {details['version']}"
    same_library = details["library"] == library
    before, now = _numbers(details["version"]), _numbers(installed)
    opens_in_newer = details.get("version_compatible", False) and before[:1] == now[:1] and before <= now
    if same_library and (before == now or opens_in_newer):
        return
    raise CompileError(
        f"{engine.file} was built by {built} and cannot be opened by {library} {installed}",
        where=str(engine.path),
        why="TensorRT's engines belong to the version that built them",
        fix=f"install {built}, or build the engine again: python -m compiler build <bundle>",
    )


def inspect(trt: Any, engine: Engine, gpu: Gpu, *, host_code: bool) -> Any:
    """What the library tells of an engine's own layers, as it was just built; None where this GPU cannot open it."""
    cuda = load_cuda()
    checked(cuda, cuda.cudaSetDevice(gpu.index))
    opened = new_runtime(trt, Log(), host_code=host_code).deserialize_cuda_engine(engine.path.read_bytes())
    if opened is None:
        return None
    return json.loads(opened.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
