"""JSON for people to read: mappings a key in each line, and lists of numbers in one."""

from __future__ import annotations

import json
from typing import Any


def json_text(node: Any, margin: str = "") -> str:
    """A value as JSON; what holds no mapping stands in one line."""
    inner = f"{margin}  "
    if isinstance(node, dict) and node:
        rows = [f"{inner}{json.dumps(str(key))}: {json_text(value, inner)}" for key, value in node.items()]
    elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
        rows = [f"{inner}{json_text(item, inner)}" for item in node]
    else:
        return json.dumps(node)
    opening, closing = ("{", "}") if isinstance(node, dict) else ("[", "]")
    return "\n".join([opening, ",\n".join(rows), f"{margin}{closing}"])
