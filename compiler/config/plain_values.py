"""Plain values merged, set and resolved as OmegaConf does it to its nodes, where that is simple.

What is not simple is refused with `NotPlainError`: then Hydra and OmegaConf do it themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MISSING = "???"
REFERENCE = "${"
_REFERENCE = re.compile(r"\$\{(?P<up>\.*)(?P<path>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\}", re.ASCII)
_SCALARS = (str, int, float, bool, type(None))


class NotPlainError(Exception):
    """Something that Hydra has to compose itself."""


def merged(below: Mapping[Any, Any], above: Mapping[Any, Any]) -> dict[Any, Any]:
    """One tree of values over another: groups of keys are merged, all else is replaced; neither tree is changed.

    Raises:
        NotPlainError: A group meets what is none, or what refers to one.
    """
    result = dict(below)
    for key, value in above.items():
        result[key] = _over(result[key], value) if key in result else value
    return result


def with_setting(tree: Mapping[Any, Any], key: str, value: Any, *, new: bool = False) -> dict[Any, Any]:
    """A tree with another value at a dotted key.

    Args:
        tree: Groups of keys.
        key: Each of its parts but the last one is of a group that is there.
        value: A scalar, or a list of such.
        new: Whether the last part may be of no key that is there.

    Raises:
        NotPlainError: There is no such key, or a group is set.
    """
    first, _, rest = key.partition(".")
    if first not in tree and (rest or not new):
        raise NotPlainError(f"no key {key}")
    below = tree.get(first)
    if rest:
        if not isinstance(below, dict):
            raise NotPlainError(f"no group {first}")
        return {**tree, first: with_setting(below, rest, value, new=new)}
    if isinstance(value, dict) or isinstance(below, dict):
        raise NotPlainError("a group that is set")
    return {**tree, first: value}


def resolved(tree: Mapping[Any, Any]) -> dict[Any, Any]:
    """A tree in which each reference is what it refers to.

    Raises:
        NotPlainError: A value is missing or none that YAML writes, or a reference is more than the path of a key.
    """
    result: dict[Any, Any] = _resolved(_Place(tree))
    return result


def resolved_group(tree: Mapping[Any, Any], key: str) -> Any:
    """The same of what is at one key at the top of a tree."""
    return _resolved(_child(_Place(tree), key))


@dataclass(frozen=True)
class _Place:
    """A value in a tree, and the place that it lies in."""

    value: Any
    above: _Place | None = None


def _over(below: Any, above: Any) -> Any:
    if isinstance(above, str) and above == MISSING:
        return below
    if not isinstance(above, dict | list):
        return above
    if isinstance(below, str) and REFERENCE in below:
        raise NotPlainError("a group over a reference")
    if isinstance(below, dict) and isinstance(above, dict):
        return merged(below, above)
    if isinstance(below, dict) or (isinstance(below, list) and isinstance(above, dict)):
        raise NotPlainError("a group over a list, or a list over a group")
    return above


def _resolved(place: _Place) -> Any:
    value = place.value
    if isinstance(value, str):
        return _resolved_text(place)
    if type(value) in _SCALARS:
        return value
    if isinstance(value, dict):
        return {_plain_key(key): _resolved(_Place(child, place)) for key, child in value.items()}
    if isinstance(value, list):
        return [_resolved(_Place(child, place)) for child in value]
    raise NotPlainError("a value of another type")


def _resolved_text(place: _Place) -> Any:
    text = place.value
    if text == MISSING:
        raise NotPlainError("a missing value")
    if REFERENCE not in text:
        return text
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise NotPlainError("more than a reference to a key")
    origin = _above(place, len(match["up"]))
    for key in match["path"].split("."):
        origin = _child(origin, key)
    return _resolved(origin)


def _above(place: _Place, levels: int) -> _Place:
    """What lies so many levels above a place; for none, the whole tree."""
    left = levels
    while place.above is not None and (left or not levels):
        place, left = place.above, left - 1
    if levels and left:
        raise NotPlainError("a reference to above the whole tree")
    return place


def _child(place: _Place, key: str) -> _Place:
    if not isinstance(place.value, dict) or key not in place.value:
        raise NotPlainError(f"no key {key}")
    return _Place(place.value[key], place)


def _plain_key(key: Any) -> Any:
    if type(key) not in (str, int):
        raise NotPlainError("a key of another type")
    return key
