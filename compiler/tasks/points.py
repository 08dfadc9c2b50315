"""Read point clouds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.artifact import read_given, require_file
from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.errors import CompileError

Points = NDArray[np.float32]
"""`[n, d]`: x, y and z in metres, forward, left and up as the dataset has it, and what else a scanner tells."""

WHAT = "the point cloud"
_BYTES = 4
_COLUMNS = range(3, 9)
# How files begin that are mistaken for a scan.
_OTHER_FORMATS = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"BM": "a BMP image",
    b"# .PCD": "a PCD file",
    b"ply": "a PLY file",
    b"LASF": "a LAS file",
    b"\x93NUMPY": "a NumPy file",
    b"PK\x03\x04": "a zip archive",
}


def read_points(
    source: str | os.PathLike[str] | NDArray[Any], columns: int, used: int, limits: Limits = DEFAULT_LIMITS
) -> Points:
    """A point cloud as `[n, used]` float32, n at least 1.

    Args:
        source: A file as KITTI and nuScenes have it: rows of `columns` little-endian float32 numbers and nothing else.
            Or an array `[n, d]` of numbers, d at least `used`.
        columns: How many numbers a row of a file has.
        used: How many of them the network looks at; the rest is dropped.
        limits: What it may cost.

    Raises:
        CompileError: The file is missing, empty or no scan, the array has another shape or type, there are more points
            than the limits allow, or what is used of a point is not finite.
    """
    if isinstance(source, np.ndarray):
        where = f"shape {list(source.shape)}, {source.dtype}"
        rows = _checked_array(source, columns, used, where)
        _check_count(len(rows), limits, where)
    else:
        where = str(source)
        size = require_file(Path(source), WHAT)
        _check_count(size // (_BYTES * columns), limits, where)
        rows = _rows(read_given(Path(source), WHAT, largest=size), columns, where)
    # Doubles beyond the range of single precision become infinite, and are then refused.
    with np.errstate(over="ignore"):
        points = np.ascontiguousarray(rows[:, :used], np.float32)
    _check_finite(points, where)
    return points


def _check_count(count: int, limits: Limits, where: str) -> None:
    if count > limits.points:
        raise CompileError(
            "the point cloud is too large",
            where=where,
            why=f"it has {count:,} points, and limits.points is {limits.points:,}",
            fix=f"give fewer; or where you trust it, give limits.points={count}",
        )


def _rows(data: bytes, columns: int, where: str) -> NDArray[np.float32]:
    """The rows of a file."""
    for beginning, kind in _OTHER_FORMATS.items():
        if data.startswith(beginning):
            raise CompileError(
                "the file is no point cloud",
                where=where,
                why=f"it is {kind}",
                fix=f"give a .bin file: rows of {columns} little-endian float32 numbers and nothing else",
            )
    width = _BYTES * columns
    if len(data) % width:
        others = [str(count) for count in _COLUMNS if len(data) % (_BYTES * count) == 0]
        fitting = f"{' or '.join(others)} columns would fit" if others else "no number of columns would fit"
        raise CompileError(
            "the point cloud is cut off, or its rows have another length",
            where=where,
            why=f"after {len(data) // width} rows of {columns} numbers {len(data) % width} bytes remain; {fitting}",
            fix=f"copy it again; or give a scan whose points have {columns} numbers, as this model's have",
        )
    return np.frombuffer(data, "<f4").reshape(-1, columns)


def _checked_array(array: NDArray[Any], columns: int, used: int, where: str) -> NDArray[Any]:
    is_cloud = array.ndim == 2 and array.shape[1] >= used and array.dtype.kind in "fiu"
    if not is_cloud:
        raise CompileError(
            "the array is no point cloud",
            where=where,
            why=f"a point cloud is [n, {columns}] or at least [n, {used}], of float32",
            fix="give one row for each point: x, y and z in metres, and what else the model looks at",
        )
    if not len(array):
        raise CompileError("the point cloud is empty", where=where, why="it has 0 points", fix="give at least one")
    return array


def _check_finite(points: Points, where: str) -> None:
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        (wrong,) = np.nonzero(~finite)
        numbers = ", ".join(f"{number:g}" for number in points[wrong[0]])
        raise CompileError(
            "points are not finite",
            where=f"{where}, row {wrong[0]}",
            why=f"{len(wrong)} of {len(points)} points are not, the first is ({numbers})",
            fix="drop them: points[np.isfinite(points).all(axis=1)]",
        )
