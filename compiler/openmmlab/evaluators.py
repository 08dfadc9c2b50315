"""What an OpenMMLab config measures on the data that it validates on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compiler.openmmlab.datasets import LOADERS
from compiler.openmmlab.reader import read_config

EVALUATORS = tuple(loader.replace("dataloader", "evaluator") for loader in LOADERS)


@dataclass(frozen=True)
class Evaluator:
    """One metric of a config.

    Attributes:
        kind: Its class, without its package.
        settings: What it is given.
    """

    kind: str
    settings: Mapping[str, Any]


def evaluators(file: Path, packages: Mapping[str, Path]) -> tuple[Evaluator, ...]:
    """The metrics of a config, those of evaluators that wrap others too; none where it names none.

    Args:
        file: A config of a whole model, or of its data sets alone.
        packages: The `.mim/configs` folders of packages that its bases come from.

    Raises:
        CompileError: The config cannot be read.
    """
    config = read_config(file, packages)
    return tuple(_metrics(next((config[name] for name in EVALUATORS if config.get(name)), None)))


def _metrics(node: Any) -> Iterator[Evaluator]:
    if isinstance(node, list | tuple):
        for one in node:
            yield from _metrics(one)
    elif isinstance(node, Mapping) and node.get("metrics"):
        yield from _metrics(node["metrics"])
    elif isinstance(node, Mapping) and isinstance(node.get("type"), str):
        settings = {str(key): value for key, value in node.items() if key != "type"}
        yield Evaluator(node["type"].rpartition(".")[2], settings)
