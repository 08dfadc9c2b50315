"""What a model finds, as the checkpoint that it is given says: OpenMMLab's own inference asks it first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from compiler.artifact import read_json, write_json
from compiler.checkpoint.names import CheckpointNames, names_of
from compiler.config import CompileConfig
from compiler.config.class_names import NAME_KEYS, described, renamed
from compiler.config.consistency import counted_in, value_at
from compiler.errors import UsageError
from compiler.pipeline.cache import Cache
from compiler.sources import Checkpoint
from compiler.stages.tools import versions

_FILE = "names.json"
_SHOWN = 20
"""Names in an error, before it only counts them."""


def named_by_checkpoint(config: CompileConfig, trained: CheckpointNames) -> CompileConfig:
    """The config with the names that a checkpoint gives, unless the command line names them.

    Raises:
        UsageError: The checkpoint was trained to tell another number of things apart.
    """
    for key, names in (("classes", trained.classes), ("keypoints", trained.keypoints)):
        model = {"name": config.model.name, "network": config.model.network, "processing": config.model.processing}
        one = next((one for one in counted_in(model) if one.key == key), None)
        if one is None or not names:
            continue
        known = value_at(model, one.names)
        if len(known) != len(names):
            raise _other_number(config, key, names, len(known))
        if list(known) != list(names) and getattr(config, NAME_KEYS[key]) is None:
            changed = renamed(model, key, names if key == "classes" else _keypoints(model, names, trained.swap))
            found = replace(config.model, network=changed["network"], processing=changed["processing"])
            config = replace(config, model=found)
    return config


def names_in_cache(checkpoint: Checkpoint, cache: Path) -> CheckpointNames:
    """The names in a checkpoint; kept by its digest, so that only the first run on it needs torch for them.

    Raises:
        CompileError: The file is another than its digest says, by now.
    """

    def read() -> CheckpointNames:
        with checkpoint.unchanged():
            return names_of(checkpoint.path)

    def make(folder: Path) -> str:
        write_json(folder / _FILE, asdict(read()))
        return checkpoint.path.name

    try:
        return CheckpointNames.from_dict(read_json(Cache(cache).get("names", _key(checkpoint), make).folder / _FILE))
    except OSError:  # a cache may be one that can only be read
        return read()


def _key(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"checkpoint": checkpoint.digest, "tools": versions()}


def _keypoints(model: Mapping[str, Any], names: Sequence[str], swap: Sequence[int] | None) -> dict[str, Any]:
    node = described("keypoints", names, value_at(model, "processing.keypoints"))
    return node if swap is None else {**node, "swap": list(swap)}


def _other_number(config: CompileConfig, key: str, names: Sequence[str], count: int) -> UsageError:
    listed = ",".join(name if name.isidentifier() else repr(name) for name in names[:_SHOWN])
    return UsageError(
        f"the checkpoint was trained for {len(names)} {key}, and {config.model.name} has {count}",
        where=f"checkpoint={config.checkpoint}",
        why="the names are in its metadata",
        fix=f'add "{key}=[{listed}{",..." if len(names) > _SHOWN else ""}]"',
    )
