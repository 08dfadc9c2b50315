"""Read arrays from files."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import LARGEST, reading, require_file, written_whole
from compiler.artifact.reading import reason
from compiler.errors import CompileError, nearest
from compiler.printable import on_one_line
from compiler.tasks.arrays.spec import InputSpec

_SPECIAL = re.compile(r"[\\%]")
Arrays = Mapping[str, NDArray[Any]]
"""A network's inputs by name; empty where none is given, and noise stands in."""


def read_arrays(source: str | os.PathLike[str] | NDArray[Any] | Arrays, specs: Sequence[InputSpec]) -> Arrays:
    """A network's inputs, checked against what it takes, each as `[n, ...]` where its first axis counts items.

    Args:
        source: A .npz with the inputs by name, or a .npy or an array where there is one input. Of one item, the first
            axis may be left out.
        specs: What the network takes.

    Raises:
        CompileError: The file is missing or no such file, an input is missing or unknown, has another shape or type, or
            is not finite.
    """
    where, given = _given(source, specs)
    if not given:
        return {}
    known = {spec.name: spec for spec in specs}
    for name in given:
        if name not in known:
            raise CompileError(f"the network has no input '{name}'", where=where, fix=nearest(name, known))
    for name in known:
        if name not in given:
            held = ", ".join(given)
            raise CompileError(f"the input '{name}' is missing", where=where, why=f"there is {held}", fix="add it")
    arrays = {name: _checked(given[name], spec, f"{where}, {name}") for name, spec in known.items()}
    counts = {name: len(arrays[name]) for name, spec in known.items() if spec.batched}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise CompileError("the inputs have different numbers of items", where=where, why=listed)
    return arrays


def _given(source: Any, specs: Sequence[InputSpec]) -> tuple[str, dict[str, NDArray[Any]]]:
    if isinstance(source, Mapping):
        return "the arrays", {str(name): np.asarray(array) for name, array in source.items()}
    loaded = source if isinstance(source, np.ndarray) else _load(Path(source))
    where = f"shape {list(loaded.shape)}" if isinstance(source, np.ndarray) else str(source)
    if isinstance(loaded, dict):
        return where, loaded
    if len(specs) > 1:
        names = ", ".join(spec.name for spec in specs)
        raise CompileError("one array is given for several inputs", where=where, fix=f"give a .npz with {names}")
    return where, {specs[0].name: loaded}


def _load(path: Path) -> Any:
    require_file(path, "the file of arrays")
    with reading(path, "the arrays cannot be read", fix="write them with numpy.savez(path, x=x), of numbers only"):
        _check_claims(path)
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        arrays = {name: loaded[name] for name in loaded.files}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):  # numpy hands on what begins otherwise as bytes
                raise ValueError(f"the entry {name} is no array")
        return arrays


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as a .npz that numpy loads, each under its name.

    A name that is no plain path within the archive, such as `../x`, is written as a URL has it: `..%2Fx`.

    Raises:
        CompileError: The file cannot be written.
    """
    try:
        # Not numpy.savez, which takes names as keywords: arrays called `file` or `allow_pickle` are lost there.
        with written_whole(path) as partial, zipfile.ZipFile(partial, "w") as archive:
            for name, array in arrays.items():
                with archive.open(f"{_entry(name)}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CompileError("the arrays cannot be written", where=str(path), why=reason(error)) from error


def _entry(name: str) -> str:
    """What a name is called in an archive: never a way out of the folder that it is unpacked to."""
    leaves = name.startswith("/") or any(part in ("", ".", "..") for part in name.split("/"))
    is_plain = not leaves and not _SPECIAL.search(name) and not name.endswith(".npy") and on_one_line(name) == name
    return name if is_plain else quote(name, safe="", errors="surrogatepass")


def _check_claims(path: Path) -> None:
    """Refuse arrays that unpack to more than a file of arrays may have: a few bytes can claim any number of them.

    Raises:
        ValueError: They do.
    """
    if not zipfile.is_zipfile(path):
        return  # nothing is compressed: what a header claims beyond the file's end is not there
    with zipfile.ZipFile(path) as file:
        claimed = sum(entry.file_size for entry in file.infolist())
    if claimed > LARGEST:
        raise ValueError(f"its arrays claim to have {claimed:,} bytes, and at most {LARGEST:,} are read")


def _checked(array: NDArray[Any], spec: InputSpec, where: str) -> NDArray[Any]:
    if spec.batched and array.shape == spec.shape:
        array = array[None]
    own = array.shape[1:] if spec.batched else array.shape
    if own != spec.shape or not array.size:
        raise CompileError(
            f"the input '{spec.name}' has another shape",
            where=where,
            why=f"it is {list(array.shape)}, and the network takes {spec}",
            fix="give at least one item of that shape",
        )
    if array.dtype.kind not in "fiub" or not np.can_cast(array.dtype, spec.dtype, "same_kind"):
        raise CompileError(
            f"the input '{spec.name}' has another type",
            where=where,
            why=f"it is {array.dtype}, and the network takes {spec}",
            fix=f"convert it: array.astype('{spec.dtype}')",
        )
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(array, spec.dtype)
    if not np.isfinite(converted).all():
        raise CompileError(f"the input '{spec.name}' is not finite", where=where, fix="replace infinities and NaN")
    return converted
