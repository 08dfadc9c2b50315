"""The models that a file of ours and a published config both describe."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from compiler.config import compose
from compiler.config.schema import ModelConfig
from compiler.openmmlab.translate import translate_file
from tests.openmmlab.wheels import wheel_configs

MODELS = Path(__file__).parents[2] / "conf" / "model"


def models(package: str) -> list[str]:
    """Return the names of our models whose file names a config of a package, and is more than another name."""
    contents = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(MODELS.glob("*.yaml"))}
    return [name for name, content in contents.items() if content.get("openmmlab", "").startswith(f"{package}/")]


@cache
def ours(name: str) -> ModelConfig:
    """Return what our file says of a model."""
    return compose([f"model={name}"]).model


def file_of(name: str) -> Path:
    """Return the published config of one of our models."""
    package, _, path = ours(name).openmmlab.partition("/.mim/configs/")
    return wheel_configs(package) / path


def theirs(name: str) -> dict[str, Any]:
    """Return what the published config of one of our models says, translated."""
    file = file_of(name)
    return translate_file(file, {})


def completed(node: Any) -> Any:
    """Return a network's config with the defaults of its classes written out, so that equal networks look alike.

    `SyncBN` is a batch normalisation as any other, and a number is the same whether or not it has a point.
    """
    if isinstance(node, list | tuple):
        return [completed(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    node = dict(node)
    if "_target_" in node:
        module, _, name = node["_target_"].rpartition(".")
        parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters.values()
        node = {one.name: one.default for one in parameters if one.default is not one.empty} | node
    elif node.get("type") in ("SyncBN", "BN2d"):
        node["type"] = "BN"
    return {key: completed(value) for key, value in node.items()}
