"""What a bundle found in the items of a data set, a line of JSON for each: a run that was killed goes on from there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from compiler.artifact import finite, reading
from compiler.errors import CompileError
from compiler.evaluation.records import from_record, to_record

_LINE = re.compile(rb'\{"item": (\d+), ')


@dataclass
class ResultsFile(Sequence[list[Any]]):
    """Results in a file, in the order of the data set's items; they are read as they are asked for.

    Attributes:
        path: The file.
        kind: The class of the results.
        items: How many items the data set has.
        offsets: Where the line of each item begins that has been looked at.
    """

    path: Path
    kind: type[Any]
    items: int
    offsets: dict[int, int] = field(default_factory=dict)

    @classmethod
    def continued(cls, path: Path, kind: type[Any], items: int, header: Mapping[str, Any]) -> ResultsFile:
        """The file, with what an earlier run left in it; what comes after a damaged or half-written line is dropped.

        Args:
            path: The file; its folder is there.
            kind: The class of the results.
            items: How many items the data set has.
            header: What the results are of, the first line; a file with another one is begun anew.
        """
        results = cls(path, kind, items)
        first = json.dumps({"results_of": header}, default=str).encode() + b"\n"
        with reading(path, "the results of an earlier run cannot be read", fix=f"remove {path}"):
            path.touch()
            with path.open("rb+") as file:
                begin = file.readline()
                end = len(begin) if begin == first else 0
                for line in file if end else ():
                    match = _LINE.match(line)
                    if match is None or not line.endswith(b"}\n") or int(match[1]) >= items:
                        break
                    results.offsets[int(match[1])] = end
                    end += len(line)
                file.truncate(end)
                if not end:
                    file.seek(0)
                    file.write(first)
        return results

    @property
    def missing(self) -> list[int]:
        """The items that have not been looked at."""
        return [item for item in range(self.items) if item not in self.offsets]

    @contextmanager
    def appending(self) -> Iterator[Appender]:
        """Add results; each is in the file when the next one is added."""
        with self.path.open("ab") as file:
            yield Appender(self, file)

    def __len__(self) -> int:
        return self.items

    def __getitem__(self, item: Any) -> Any:
        """What was found in an item.

        Raises:
            CompileError: The line is damaged.
        """
        with self.path.open("rb") as file:
            return self._read(file, item)

    def __iter__(self) -> Iterator[list[Any]]:
        with self.path.open("rb") as file:
            for item in range(self.items):
                yield self._read(file, item)

    def _read(self, file: IO[bytes], item: int) -> list[Any]:
        if not 0 <= item < self.items:
            raise IndexError(item)
        with reading(self.path, "the results of an earlier run cannot be read", fix=f"remove {self.path}"):
            if item not in self.offsets:
                raise ValueError(f"item {item} is not in it")
            file.seek(self.offsets[item])
            return [from_record(self.kind, record) for record in json.loads(file.readline())["results"]]


@dataclass(frozen=True)
class Appender:
    """Adds to a file of results.

    Attributes:
        results: What is added to.
        file: Open, at its end.
    """

    results: ResultsFile
    file: IO[bytes]

    def add(self, item: int, name: str, found: Sequence[Any]) -> None:
        """Write what was found in an item.

        Args:
            item: Its place in the data set.
            name: Of its file, for those who read the results.
            found: The results.

        Raises:
            CompileError: They cannot be written.
        """
        record = {"item": item, "file": name, "results": [to_record(one) for one in found]}
        try:
            offset = self.file.tell()
            self.file.write(json.dumps(finite(record), allow_nan=False).encode() + b"\n")
            self.file.flush()
        except OSError as error:
            raise CompileError(
                "the results cannot be written", where=str(self.results.path), why=str(error.strerror or error)
            ) from error
        self.results.offsets[item] = offset
