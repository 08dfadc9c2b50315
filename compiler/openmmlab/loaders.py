"""The data sets in a config's loaders, those that others wrap too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DatasetNode:
    """One data set of a config.

    Attributes:
        node: Its keys and values.
        where: Its place in the config.
    """

    node: Mapping[str, Any]
    where: str


def dataset_chains(config: Mapping[str, Any], loaders: Sequence[str]) -> Iterator[tuple[DatasetNode, ...]]:
    """Yield each innermost data set of the first of these loaders that the config has, after those that wrap it.

    A data set wraps another as its `dataset`, or several as its `datasets`. What should be a data set and is no mapping
    is left out.
    """
    name = next((name for name in loaders if config.get(name)), "")
    loader = config.get(name)
    if isinstance(loader, list | tuple):
        for index, one in enumerate(loader):
            yield from _chains(_value(one, "dataset"), f"{name}[{index}].dataset")
    else:
        yield from _chains(_value(loader, "dataset"), f"{name}.dataset")


def _chains(node: Any, where: str) -> Iterator[tuple[DatasetNode, ...]]:
    if not isinstance(node, Mapping):
        return
    own = DatasetNode(node, where)
    several = node.get("datasets")
    if several and isinstance(several, list | tuple):
        wrapped = [(one, f"{where}.datasets[{index}]") for index, one in enumerate(several)]
    else:
        wrapped = [(node.get("dataset"), f"{where}.dataset")]
    inner = [chain for one, place in wrapped for chain in _chains(one, place)]
    yield from ((own, *chain) for chain in inner or [()])


def _value(node: Any, key: str) -> Any:
    return node.get(key) if isinstance(node, Mapping) else None
