"""What an evaluation found: a column of numbers for each bundle, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from math import isnan, nan
from pathlib import Path
from typing import Any

from compiler.artifact import installed_version, read_json, write_json
from compiler.errors import CompileError

DISTRIBUTION = "deploy-compiler"


@dataclass(frozen=True)
class Column:
    """What one bundle, or the PyTorch network, reaches.

    Attributes:
        name: Its heading.
        bundle: Its folder.
        backend: What ran it.
        precision: Of the engine.
        numbers: By the names that OpenMMLab prints; none where results were written only.
        results: The file of what it found in each item.
        written: The files for a test server.
        pictures: What was drawn.
        tools: The machine and the versions of the libraries that ran it, by name.
    """

    name: str
    bundle: Path
    backend: str
    precision: str
    numbers: Mapping[str, float]
    results: Path
    written: tuple[Path, ...] = ()
    pictures: tuple[Path, ...] = ()
    tools: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Attributes:
        dataset: The data set, as the user named it.
        items: How many files were looked at.
        metrics: The settings of each metric, by its class.
        columns: The first is what the others are compared with.
        cautions: What one has to know about the numbers.
    """

    dataset: str
    items: int
    metrics: Mapping[str, Mapping[str, Any]]
    columns: tuple[Column, ...]
    cautions: tuple[str, ...] = ()

    def differences(self, column: Column) -> dict[str, float]:
        """How much more each number of a column is than in the first; less is a drop."""
        first = self.columns[0].numbers
        return {name: value - first[name] for name, value in column.numbers.items() if name in first}

    def to_dict(self) -> dict[str, Any]:
        """All numbers and settings as JSON can hold them."""
        return {
            "version": installed_version(DISTRIBUTION),
            "dataset": self.dataset,
            "items": self.items,
            "metrics": self.metrics,
            "columns": [self._column(column) for column in self.columns],
            "cautions": list(self.cautions),
        }

    def save(self, path: Path) -> None:
        """Write all numbers and settings as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, self.to_dict())

    def table(self) -> str:
        """The numbers as text, a line for each; behind those of the others how much they differ from the first."""
        names = list(dict.fromkeys(name for column in self.columns for name in column.numbers))
        rows = [["metric", *(column.name for column in self.columns)]]
        rows += [[name, *(self._cell(column, name) for column in self.columns)] for name in names]
        first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = ([name.ljust(first), *map(str.rjust, cells, others)] for name, *cells in rows)
        return "".join(f"{'  '.join(line).rstrip()}\n" for line in lines)

    def _cell(self, column: Column, name: str) -> str:
        value = column.numbers.get(name)
        if value is None or isnan(value):
            return "-"
        difference = self.differences(column).get(name, nan)
        if column is self.columns[0] or isnan(difference):
            return f"{value:.4f}"
        return f"{value:.4f} ({difference:+.4f})"

    def _column(self, column: Column) -> dict[str, Any]:
        return {
            "name": column.name,
            "bundle": str(column.bundle),
            "backend": column.backend,
            "precision": column.precision,
            "numbers": dict(column.numbers),
            "differences": self.differences(column),
            "results": str(column.results),
            "written": list(map(str, column.written)),
            "pictures": list(map(str, column.pictures)),
            "tools": dict(column.tools),
        }


def is_saved(path: Path) -> bool:
    """Whether a file holds what `Evaluation.save` writes, and nothing else is lost where it is written again."""
    with suppress(CompileError):
        content = read_json(path)
        return isinstance(content, dict) and content.keys() >= {"dataset", "metrics", "columns", "cautions"}
    return False
