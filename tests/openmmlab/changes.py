"""Configs that differ in one value from one that works."""

from __future__ import annotations

import copy
from typing import Any


def changed(config: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a config with another value at a dotted path, in which numbers are places in a list."""
    config = copy.deepcopy(config)
    node: Any = config
    *parents, last = path.split(".")
    for key in parents:
        node = node[int(key) if isinstance(node, list) else key]
    node[int(last) if isinstance(node, list) else last] = value
    return config
