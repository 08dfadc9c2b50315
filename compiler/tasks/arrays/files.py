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

from compiler.artifact import LARGEST, Dimension, read_given, reading, require_file, written_whole
from compiler.artifact.reading import reason
from compiler.errors import CompileError, nearest
from compiler.printable import on_one_line
from compiler.tasks.arrays.lengths import Lengths
from compiler.tasks.arrays.spec import BATCH, InputSpec

_SPECIAL = re.compile(r"[\\%]")
Arrays = Mapping[str, NDArray[Any]]
"""A network's inputs by name; empty where none is given, and noise stands in."""


def read_arrays(
    source: str | os.PathLike[str] | NDArray[Any] | Arrays,
    specs: Sequence[InputSpec],
    varying: Mapping[str, Lengths] | None = None,
) -> Arrays:
    """A network's inputs, checked against what it takes, each as `[n, ...]` where its first axis counts items.

    Args:
        source: A .npz with the inputs by name; a .npy, a .pb or an array where there is one input; or a folder of
            input_0.pb, input_1.pb and so on, as onnx keeps test data. Of one item, the first axis may be left out.
        specs: What the network takes.
        varying: How long the axes may be that vary, but for the number of items.

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
    _check_axes(arrays, specs, varying or {}, where)
    return arrays


def _check_axes(arrays: Arrays, specs: Sequence[InputSpec], varying: Mapping[str, Lengths], where: str) -> None:
    """Refuse axes of one name that are not equally long, or longer or shorter than they may be."""
    found: dict[str, dict[str, int]] = {}
    for spec in specs:
        for position, axis in spec.axes.items():
            found.setdefault(axis, {})[f"{spec.name}[{position}]"] = arrays[spec.name].shape[position]
    for axis, lengths in found.items():
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{place} has {length}" for place, length in lengths.items())
            what = "numbers of items" if axis == BATCH else f"lengths of their axis {axis}"
            raise CompileError(f"the inputs have different {what}", where=where, why=listed)
        place, length = next(iter(lengths.items()))
        if axis in varying and not varying[axis].holds(length):
            raise CompileError(
                f"the axis {axis} cannot be that long",
                where=f"{where}, {place}",
                why=f"it is {length} long, and the engine takes {varying[axis].smallest} to {varying[axis].largest}",
                fix="cut or fill it up; or compile for other lengths",
            )


def _given(source: Any, specs: Sequence[InputSpec]) -> tuple[str, dict[str, NDArray[Any]]]:
    if isinstance(source, Mapping):
        return "the arrays", {str(name): np.asarray(array) for name, array in source.items()}
    loaded = source if isinstance(source, np.ndarray) else _load(Path(source), specs)
    where = f"shape {list(loaded.shape)}" if isinstance(source, np.ndarray) else str(source)
    if isinstance(loaded, dict):
        return where, loaded
    if len(specs) > 1:
        names = ", ".join(spec.name for spec in specs)
        raise CompileError("one array is given for several inputs", where=where, fix=f"give a .npz with {names}")
    return where, {specs[0].name: loaded}


def _load(path: Path, specs: Sequence[InputSpec]) -> Any:
    with reading(path, "the arrays cannot be read"):
        is_folder = path.is_dir()
    if is_folder:
        return _load_folder(path, specs)
    require_file(path, "the file of arrays")
    if path.suffix == ".pb":
        return read_tensor(path)
    with reading(path, "the arrays cannot be read", fix="write them with numpy.savez(path, x=x), of numbers only"):
        return load_plain(path)


def load_plain(path: Path, largest: int = LARGEST) -> NDArray[Any] | dict[str, NDArray[Any]]:
    """The array, or the arrays by name, in a file of NumPy's; no pickle is read.

    Raises:
        ValueError: It claims to unpack to more than `largest` bytes, or an entry is no array.
        Exception: Whatever NumPy raises for a damaged file.
    """
    _check_claims(path, largest)
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded
    arrays = {name: loaded[name] for name in loaded.files}
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy hands on what begins otherwise as bytes
            raise ValueError(f"the entry {name} is no array")
    return arrays


def _load_folder(folder: Path, specs: Sequence[InputSpec]) -> dict[str, NDArray[Any]]:
    """The arrays of a folder as onnx keeps test data: `input_0.pb` is the first input."""
    numbered = {index: folder / f"input_{index}.pb" for index in range(len(specs))}
    there = {specs[index].name: read_tensor(path) for index, path in numbered.items() if path.is_file()}
    if not there:
        raise CompileError(
            "the folder holds no arrays",
            where=str(folder),
            why="there is no input_0.pb in it",
            fix="give a .npz with the inputs by name, or a folder of input_0.pb, input_1.pb and so on",
        )
    return there


def read_tensor(path: Path) -> NDArray[Any]:
    """The array in a file of one ONNX tensor.

    Raises:
        CompileError: It holds no tensor, one whose numbers lie elsewhere, or onnx is not installed.
    """
    content = read_given(path, "the file of a tensor")
    try:
        import onnx
    except ImportError as error:
        fix = "pip install onnx, or give a .npy or .npz"
        raise CompileError("a .pb is read with onnx, which is not installed", where=str(path), fix=fix) from error
    with reading(path, "the tensor cannot be read", fix="write it as a TensorProto, or give a .npy or .npz"):
        tensor = onnx.TensorProto.FromString(content)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise ValueError("its numbers lie in another file")
        return onnx.numpy_helper.to_array(tensor)


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


def _check_claims(path: Path, largest: int) -> None:
    """Refuse arrays that unpack to more than a file of arrays may have: a few bytes can claim any number of them.

    Raises:
        ValueError: They do.
    """
    if not zipfile.is_zipfile(path):
        return  # nothing is compressed: what a header claims beyond the file's end is not there
    with zipfile.ZipFile(path) as file:
        claimed = sum(entry.file_size for entry in file.infolist())
    if claimed > largest:
        raise ValueError(f"its arrays claim to have {claimed:,} bytes, and at most {largest:,} are read")


def _checked(array: NDArray[Any], spec: InputSpec, where: str) -> NDArray[Any]:
    if spec.batched and array.ndim == len(spec.shape) - 1 and _fits(array.shape, spec.shape[1:]):
        array = array[None]
    if not _fits(array.shape, spec.shape):
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
        converted = np.asarray(array, spec.dtype, order="C")
    if not (np.isfinite(converted) | np.isinf(array)).all():
        why = "it holds NaN, which no result can be compared by" if np.isnan(array).any() else f"{spec.dtype} has less"
        raise CompileError(f"the input '{spec.name}' is not finite", where=where, why=why, fix="replace what is not")
    return converted


def _fits(shape: tuple[int, ...], own: tuple[Dimension, ...]) -> bool:
    """Whether an array has the fixed lengths of an input, and at least 1 where it varies."""
    return len(shape) == len(own) and all(
        length == axis if isinstance(axis, int) else length > 0 for length, axis in zip(shape, own, strict=True)
    )
