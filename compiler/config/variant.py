"""What a config has that its deploy name does not hold, as a short digest: two such runs have a bundle each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from compiler.artifact import digest
from compiler.config.moved import INPUT_ALIASES

if TYPE_CHECKING:
    from compiler.config.schema import CompileConfig

IN_NAME = (
    *("model", "backend", "precision", "shape", "deploy"),
    *("model.name", "model.config", "model.target", "model.file"),
)
"""Overrides that a name holds."""
GIVEN = ("checkpoint", "input", *INPUT_ALIASES, "input_kind", "box")
"""What is put in. A bundle of other weights, or one that was proven on another photograph, takes the place of the one
before; within a sweep, each has its own."""
PLACES = ("output", "cache", "cache_limit", "model.packages", "backend.python", "hydra")
"""Overrides, or groups of them, that say where things lie."""

_LETTER, _DIGITS = "v", 7
"""With a letter in front, no digest looks like a number, as 78e30 does to YAML."""


def in_name(overrides: Iterable[str]) -> list[str]:
    """The overrides that set no bundle apart from another of the same name."""
    return [one for one in overrides if _is_in_name(override_key(one))]


def in_precision(overrides: Iterable[str], precision: str) -> list[str]:
    """Overrides of `precision=auto` for one of its precisions: what is for others alone is left out."""
    lost = {"precision"} | ({"keep_fp32"} if precision == "fp32" else set())
    keys = lost | ({"calibration"} if precision != "int8" else set())
    kept = [one for one in overrides if override_key(one).partition(".")[0] not in keys]
    return [*kept, f"precision={precision}"]


def override_key(override: str) -> str:
    """The key of an override."""
    return override.lstrip("+~").partition("=")[0]


def variant(config: CompileConfig, named: CompileConfig, distinguishing: Iterable[str] = ()) -> str:
    """The digest of what sets a config apart from the one that its name alone stands for; empty where nothing does.

    Args:
        config: Composed from all overrides.
        named: Composed from those that `in_name` gives.
        distinguishing: Overrides that count all the same.
    """
    mine, usual = dict(_leaves(_compared(config))), dict(_leaves(_compared(named)))
    differing = {key: mine.get(key) for key in {**mine, **usual} if mine.get(key) != usual.get(key)}
    differing.update((override_key(one), one) for one in distinguishing)
    if not differing:
        return ""
    return f"{_LETTER}{digest(differing)[:_DIGITS]}"


def _is_in_name(key: str) -> bool:
    return key in (*IN_NAME, *GIVEN) or any(f"{key}.".startswith(f"{place}.") for place in PLACES)


def _compared(config: CompileConfig) -> dict[str, Any]:
    values = asdict(config)
    return {field.name: values[field.name] for field in fields(config) if field.compare and field.name != "box"}


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, child in node.items():
            yield from _leaves(child, f"{path}.{key}")
    else:
        yield path, node
