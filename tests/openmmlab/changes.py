"""Configs that differ in a few values from one that works."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

MISSING = object()
"""In place of a value: the key is not there."""


def changed(config: dict[str, Any], changes: Mapping[str, object]) -> dict[str, Any]:
    """Return a config with other values at some dotted paths, in which numbers are places in a list."""
    config = copy.deepcopy(config)
    for path, value in changes.items():
        node: Any = config
        *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
        for key in parents:
            node = node[key]
        if value is MISSING:
            del node[last]
        else:
            node[last] = value
    return config
