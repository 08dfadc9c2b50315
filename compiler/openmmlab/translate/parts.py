"""What the types in an OpenMMLab config are here, and how their keys are told apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, NoReturn

from compiler.errors import CompileError, nearest, same_letters

Convert = Callable[[Any, str], Any]
"""Takes a value and its place in the config, and returns what we call the same."""

TRAINING = (
    "init_cfg", "pretrained", "frozen_stages", "norm_eval", "with_cp", "zero_init_residual", "train_cfg", "loss",
    "loss_*", "use_target_weight", "_scope_",
)  # fmt: skip
"""Keys that no network computes with, wherever they stand; `*` is any ending."""

_SCOPES = ("mmengine", "mmcv", "mmdet", "mmpose", "mmocr", "mmdet3d")
"""Packages whose parts have one meaning: a part of another, as `mmpretrain.ResNet`, may only share its name."""

OTHERWISE = "train the model with what is supported, or bring its network as model=torch or model=onnx"
"""What to do about something that we do not have."""
CORRECT = "correct the value in the config"
"""What to do about something that nobody has."""

_MOST = 1 << 16
"""Of classes, key points or pixels in a row; more of them is a mistake."""


@dataclass(frozen=True)
class Part:
    """What one `type` of an OpenMMLab config is here.

    Every key of the config must be in one of the attributes, or in `TRAINING`: what is left over is an error, as nobody
    knows whether it changes what the network computes.

    Attributes:
        target: The `_target_` of our class; empty where the mapping has none.
        keys: Passed on as they are.
        children: For each key that holds a mapping with a `type`, or a list of them, which types it may have.
        convert: For each key, what makes our value out of theirs.
        dropped: Keys that only training needs; they may end in `*`.
        assumed: For each key, the values that mean what our class does anyway. What OpenMMLab does without the key must
            be one of them.
        rename: Our name for a key, where it is not theirs.
        defaults: What to pass on under our names where the config says nothing.
        theirs: What OpenMMLab takes for keys that a config leaves out, read as if the config said it: where our class
            takes something else, or where it is not among what is assumed.
    """

    target: str = ""
    keys: tuple[str, ...] = ()
    children: Mapping[str, Parts] = field(default_factory=dict)
    convert: Mapping[str, Convert] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    assumed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    rename: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    theirs: Mapping[str, Any] = field(default_factory=dict)


Parts = Mapping[str, Part]
"""The types that may stand in one place. A name with a scope, `mmdet.ResNet`, goes before the name alone."""


def node(config: Mapping[str, Any], parts: Parts, where: str) -> dict[str, Any]:
    """Translate a mapping with a `type`, and those within it.

    Args:
        config: For example what a config says of `model.backbone`.
        parts: What may stand there.
        where: The place as a dotted path, for error messages: `model.backbone`.

    Returns:
        A `_target_` node with the argument names of our class.

    Raises:
        CompileError: We do not have the type, or a key or value that inference needs. It names the place, and what
            we have.
    """
    return fields(config, part_of(config, parts, where), where)


def fields(config: Mapping[str, Any], part: Part, where: str) -> dict[str, Any]:
    """Translate a mapping that is known to be `part`, whether or not it says its type; see `node`."""
    if not isinstance(config, Mapping) or not all(isinstance(key, str) for key in config):
        refuse(f"{_last(where)}={config!r:.60} is no mapping of names to values", where, fix=CORRECT)
    found: dict[str, Any] = {"_target_": part.target} if part.target else {}
    found.update(plain(part.defaults))
    for key, value in {**part.theirs, **config}.items():
        place = f"{where}.{key}"
        if key == "type":
            continue
        if key in part.children:
            found[part.rename.get(key, key)] = _children(value, part.children[key], place)
        elif key in part.convert:
            found[part.rename.get(key, key)] = part.convert[key](value, place)
        elif key in part.keys:
            found[part.rename.get(key, key)] = plain(value)
        elif key in part.assumed:
            expect(value, part.assumed[key], place)
        elif not any(fnmatch(key, dropped) for dropped in (*part.dropped, *TRAINING)):
            refuse(
                f"there is no {key} in our {config.get('type', _last(where))}",
                place,
                why="it may change what the network computes",
                name=key,
                choices=(*part.keys, *part.children, *part.convert, *part.assumed),
            )
    return found


def part_of(config: Mapping[str, Any], parts: Parts, where: str) -> Part:
    """The part that a mapping's `type` names.

    Raises:
        CompileError: It has no type, or one that we do not have.
    """
    if not isinstance(config, Mapping) or not isinstance(config.get("type"), str):
        refuse("there is no type to build", where, why=f"the value is {config!r:.60}", choices=parts)
    name: str = config["type"]
    scoped = name if "." in name or "_scope_" not in config else f"{config['_scope_']}.{name}"
    scope, _, bare = scoped.rpartition(".")
    known = parts.get(f"{scope.partition('.')[0]}.{bare}")
    if known is None and (not scope or scope.partition(".")[0] in _SCOPES):
        known = parts.get(bare)
    if known is None:
        refuse(f"there is no {scoped} here", f"{where}.type", fix=_instead(bare, parts))
    return known


def expect(value: Any, accepted: tuple[Any, ...], where: str) -> None:
    """Raise a `CompileError` that names the place unless `value` equals one of those accepted."""
    if plain(value) not in [plain(one) for one in accepted]:
        known = " or ".join(str(plain(one)) for one in accepted)
        refuse(f"{_last(where)}={plain(value)} is not supported", where, why=f"what we have is {known}")


def bare(name: str) -> str:
    """The name of a type without its package."""
    return name.rpartition(".")[2]


def refuse(
    what: str, where: str, *, why: str = "", fix: str = "", name: str = "", choices: Iterable[str] = ()
) -> NoReturn:
    """Raise the `CompileError` for something that we do not have.

    Args:
        what: As one sentence without a full stop.
        where: The place in the config, as a dotted path.
        why: The cause.
        fix: What to do about it, instead of the choices.
        name: What the config calls it.
        choices: Names that we do have: the nearest to that one are offered.
    """
    raise CompileError(what, where=where, why=why, fix=fix or (nearest(name, choices) if choices else OTHERWISE))


def _instead(name: str, choices: Iterable[str]) -> str:
    """What there is instead of a type: one that is called nearly alike is another, and would be taken for it."""
    known = sorted(choices)
    same = [choice for choice in known if same_letters(choice) == same_letters(name)]
    return (
        f"did you mean {' or '.join(same)}?" if same else f"what is supported here is {', '.join(known)}; {OTHERWISE}"
    )


def plain(value: Any) -> Any:
    """A value with mappings as dicts and sequences as lists, as YAML has them."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def each(kind: type, count: int = 0) -> Convert:
    """What makes a list of `kind`, `int` or `float`, out of a sequence of numbers.

    Args:
        kind: Of number.
        count: How many there are: one alone is written that many times. 0 for any number of them.
    """

    def convert(value: Any, where: str) -> list[Any]:
        values = [value] * count if count and not isinstance(value, list | tuple) else value
        if not isinstance(values, list | tuple) or not all(_is_number(item) for item in values):
            refuse(f"{_last(where)}={value!r:.60} is no list of numbers", where, fix=CORRECT)
        if count and len(values) != count:
            why = f"there must be {count}"
            refuse(f"{_last(where)}={value!r:.60} has {len(values)} numbers", where, why=why, fix=CORRECT)
        numbers = [kind(item) for item in values]
        if numbers != list(values):
            refuse(f"{_last(where)}={value!r:.60} is not whole", where, fix=CORRECT)
        return numbers

    return convert


def pair(value: Any, where: str) -> list[int]:
    """A width and a height, which are the same where the value is one number."""
    sides: list[int] = each(int, 2)(value, where)
    if not all(0 < side <= _MOST for side in sides):
        refuse(f"{_last(where)}={value!r:.60} is no size", where, why="a size is positive, in pixels", fix=CORRECT)
    return sides


def amount(value: Any, where: str) -> int:
    """How many there are of something that a network tells apart."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST:
        why = "it is a whole number from 1"
        refuse(f"{_last(where)}={value!r:.60} is no number of things", where, why=why, fix=CORRECT)
    return value


def optional(convert: Convert) -> Convert:
    """What converts a value that may also be None."""
    return lambda value, where: None if value is None else convert(value, where)


def within(part: Part) -> Convert:
    """What translates a mapping without a type as `part`."""
    return optional(lambda value, where: fields(value, part, where))


def layers(*known: str) -> Convert:
    """What takes a `norm_cfg` or `act_cfg` of one of the types `known`, without what only training reads."""

    def convert(value: Any, where: str) -> Any:
        if value is None:
            return None
        part_of(value, {name: Part() for name in known}, where)
        return {key: plain(item) for key, item in value.items() if key not in ("requires_grad", "inplace")}

    return convert


NORM = layers("BN", "BN1d", "BN2d", "SyncBN")
"""Converts a `norm_cfg`."""
ACT = layers("ReLU", "ReLU6", "LeakyReLU", "SiLU", "Sigmoid", "Swish")
"""Converts an `act_cfg`."""


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number; True is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _last(where: str) -> str:
    """The key at the end of a dotted path."""
    return where.rpartition(".")[2]


def _children(value: Any, parts: Parts, where: str) -> Any:
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [node(item, parts, f"{where}[{index}]") for index, item in enumerate(value)]
    return node(value, parts, where)
