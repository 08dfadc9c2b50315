"""A translated model as the text of a file for `conf/model/`, for people to read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from compiler.config.consistency import with_references
from compiler.config.literal import literal
from compiler.config.plain_yaml import PlainDumper, dump_yaml
from compiler.printable import on_one_line

ORDER = (
    "name", "algo", "task", "input_shape", "stride", "smallest_shape", "largest_shape", "openmmlab", "config",
    "packages", "network", "tail", "processing",
)  # fmt: skip
"""Of the keys, as in our own files."""


def as_yaml(model: Mapping[str, Any]) -> str:
    """What a file in `conf/model/` says of a model, for people to read: what two parts need, in one place."""
    referring = with_references(model)
    ordered = {key: literal(referring[key]) for key in ORDER if key in referring}
    head = on_one_line(f"# {model['name']}, from {Path(model['openmmlab']).name}.")
    return f"{head}\n{dump_yaml(ordered, _Dumper, width=118)}"


class _Dumper(PlainDumper):
    """Writes short lists and mappings in a line."""

    def represent_list_or_mapping(self, data: Any) -> yaml.Node:
        is_mapping = isinstance(data, dict)
        node = super().represent_dict(data) if is_mapping else super().represent_list(data)
        node.flow_style = _is_flat(data) and "_target_" not in data
        return node


def _is_flat(data: Any) -> bool:
    """Whether there are only scalars and lists of scalars in a list or mapping."""
    items = data.values() if isinstance(data, dict) else data
    nested = [inner for item in items if isinstance(item, list) for inner in item]
    return not any(isinstance(item, dict) for item in items) and not any(
        isinstance(item, dict | list) for item in nested
    )


for _kind in (dict, list):
    _Dumper.add_representer(_kind, _Dumper.represent_list_or_mapping)
