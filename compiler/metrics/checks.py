"""What results are held to before they are written for a test server."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from compiler.errors import CompileError

Record = TypeVar("Record", bound=Mapping[str, Any])


def require_numbers(record: Record, image: object) -> Record:
    """A result, in which every number is one.

    Args:
        record: Numbers, lists of them and texts, by what they are called.
        image: That it was found in, as the data set calls it.

    Raises:
        CompileError: One is infinite or not a number, which no test server reads.
    """
    for name, value in record.items():
        numbers = value if isinstance(value, list) else [value]
        if not all(math.isfinite(one) for one in numbers if isinstance(one, float)):
            raise CompileError(
                f"a result has a {name} that is no finite number",
                where=f"image {image}",
                why=f"it is {value!r:.100}: the engine computed it, and a test server would refuse the whole file",
                fix="verify the bundle on this machine: python -m compiler verify <bundle>",
            )
    return record


def require_file_names(classes: Iterable[str]) -> None:
    """Refuse classes of which no file can be named.

    Raises:
        CompileError: One is no plain name, and would lead elsewhere.
    """
    for name in classes:
        if not name or Path(name).name != name or name == ".." or not name.isprintable() or "\\" in name:
            raise CompileError(
                f"the class {name!r:.60} is no name of a file",
                where="format_only",
                why="VOC's server takes a file for each class, which is named after it",
                fix="rename it in the annotations and in the model",
            )
