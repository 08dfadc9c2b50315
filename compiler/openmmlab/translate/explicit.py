"""What a config must say, and what OpenMMLab does where it need not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from compiler.openmmlab.translate.data import TestData
from compiler.openmmlab.translate.parts import bare, refuse

_NESTED = "transforms"


def explicit(data: TestData, theirs: Mapping[str, Mapping[str, Any]]) -> TestData:
    """The data of the test with the defaults of its steps written out, so that a part can check them.

    Args:
        data: Its pipeline may have steps that hold others, as `transforms`.
        theirs: For the type of a step, the values of the keys that it may leave out.
    """
    return replace(data, pipeline=tuple(_complete(step, theirs) for step in data.pipeline))


def needed(config: Mapping[str, Any], key: str, where: str) -> Any:
    """A value that cannot be done without.

    Args:
        config: The mapping at `where`.
        key: One of its keys.
        where: The mapping's place in the config.

    Raises:
        CompileError: It is not there.
    """
    if not isinstance(config, Mapping) or config.get(key) is None:
        refuse(f"there is no {key}", f"{where}.{key}", why="a model cannot be tested without it")
    return config[key]


def _complete(step: Any, theirs: Mapping[str, Mapping[str, Any]]) -> Any:
    if not isinstance(step, Mapping):
        return step
    complete = {**theirs.get(bare(str(step.get("type"))), {}), **step}
    if isinstance(complete.get(_NESTED), list | tuple):
        complete[_NESTED] = [_complete(inner, theirs) for inner in complete[_NESTED]]
    return complete
