"""The spellings of overrides that are ours, rewritten into Hydra's; and the jobs of a sweep."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.config.class_names import NAME_KEYS
from compiler.config.deploy_overrides import KEY, named_run
from compiler.config.messages import composing
from compiler.config.mmdeploy.keys import refuse_keys
from compiler.config.moved import INPUT_ALIASES
from compiler.config.options import group_options
from compiler.config.schema import CompileConfig
from compiler.config.search import config_loader
from compiler.config.variant import GIVEN, override_key
from compiler.errors import UsageError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

_KEYS = frozenset(field.name for field in fields(CompileConfig))
_FREE_GROUPS = ("backend.provider_options", "model.axes", "model.inputs", "model.kwargs", "model.packages")
"""Whose keys are the user's own."""
_BOX = re.compile(r"box=(-?[\d.]+(?:,-?[\d.]+)*)")
"""Numbers of a box, whether or not they are four: a comma between them makes no sweep."""


def expand(overrides: Sequence[str], config_dir: Path | None = None) -> list[str]:
    """The overrides in Hydra's spelling.

    Ours are `+model=`, `image=`, `classes=[...]`, `keypoints=[...]`, `deploy=<name>` and `box=x1,y1,x2,y2`.
    """
    plain = [_without_plus(override) for override in overrides]
    refuse_keys(plain)
    named = named_run(plain, config_dir)
    rest = [_quoted_box(override) for override in plain if override_key(override) != KEY]
    if named is None:
        return rest
    given = {override_key(override) for override in rest}
    implied = named.implied(group_options("model", config_dir), given)
    return [override for override in implied if override_key(override) not in given] + rest


def split_sweep(overrides: Sequence[str], config_dir: Path | None = None) -> list[list[str]]:
    """The overrides of every job of a sweep: each combination of the comma-separated choices.

    Raises:
        UsageError: An override cannot be parsed, or asks for a sweep that is not a list of choices.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    refuse_keys(overrides)
    loader = config_loader(config_dir)
    plain = [_quoted_box(_without_plus(override)) for override in overrides]
    with composing(loader):
        parsed = OverridesParser.create(config_loader=loader).parse_overrides(plain)
        choices = {override.get_key_element(): _choices(override) for override in parsed}  # of one key, the last wins
    return [list(job) for job in itertools.product(*choices.values())]


def own_inputs(jobs: Sequence[Sequence[str]]) -> list[list[str]]:
    """Of each job of a sweep what is put in and not in every other, too: in the sweep it gives the job its name."""
    everywhere = set(jobs[0]).intersection(*jobs)
    return [[one for one in job if one not in everywhere and override_key(one) in GIVEN] for job in jobs]


def _choices(override: Override) -> list[str]:
    """What one override of a sweep stands for, each as an override of a job."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise UsageError(
            f"'{override.input_line}' is no list of choices",
            where="overrides",
            fix="write key=a,b or key=range(1,4), or for names of a group key=glob(*)",
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def _without_plus(override: str) -> str:
    key = override.lstrip("+").partition("=")[0]
    if key in _FREE_GROUPS or key.startswith(tuple(f"{group}." for group in _FREE_GROUPS)) or key in INPUT_ALIASES:
        return f"++{override.lstrip('+')}"
    if key in NAME_KEYS:
        return f"{NAME_KEYS[key]}={override.partition('=')[2]}"
    return override.lstrip("+") if key in _KEYS or key == KEY else override


def _quoted_box(override: str) -> str:
    match = _BOX.fullmatch(override.lstrip("+"))
    return f"box=[{match[1]}]" if match else override
