"""Every config key that a message names exists."""

import ast
import re
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import get_type_hints

import pytest
from omegaconf import OmegaConf

from compiler.cli.verbs import VERBS
from compiler.config.backend_facts import backend_facts
from compiler.config.moved import INPUT_ALIASES
from compiler.config.schema import CompileConfig

ROOT = Path(__file__).parents[1]
ERRORS = {"CompileError", "UsageError"}
PARTS = {"where", "why", "fix"}
GIVEN = re.compile(r"(?<![\w.+/<\[{-])([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)=(?!=)")
"""A key with a value behind it."""
SHORT = {*INPUT_ALIASES, "classes", "deploy", "keypoints"}
"""What stands for keys on a command line."""
NO_CONFIG = {"axis", "engine_code", "key", "packages", "unknown_token"}
"""What other functions are given."""
FREE = {"model.network", "model.processing", "model.tail", "model.inputs", "model.kwargs"}
"""Nodes whose keys are their target's."""


@cache
def backend_keys():
    """Return the keys that any backend has."""
    nodes = map(OmegaConf.load, sorted((ROOT / "conf" / "backend").glob("*.yaml")))
    return {field.name for node in nodes for field in fields(backend_facts(node))}


@cache
def options():
    """Return the names of the options of every verb, such as `dataset`; `metric.` stands for all that begin with it."""
    return frozenset(name for verb in VERBS.values() for name in verb.parser().options)


def is_key(key):
    """Tell whether a config has a key, such as `limits.memory`, or a verb has an option."""
    if key in options() or f"{key.partition('.')[0]}." in options():
        return True
    first, *rest = key.split(".")
    if first == "backend" and rest:
        return rest[0] in backend_keys()
    kind, names = CompileConfig, [first, *rest]
    for depth, name in enumerate(names, 1):
        hints = get_type_hints(kind) if is_dataclass(kind) else {}
        if name not in hints:
            return False
        if ".".join(names[:depth]) in FREE:
            return True
        kind = hints[name]
    return True


def messages():
    """Yield every text in what errors say, and where it stands."""
    for folder in ("compiler", "rewriters"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                    parts = [part.value for part in node.keywords if part.arg in PARTS]
                    yield from ((f"{path}:{node.lineno}", text) for part in parts for text in _texts(part))


def _texts(node):
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def unknown(texts):
    """Return the keys among texts that no config has, with the places that name them."""
    named = [(key, place) for place, text in texts for key in GIVEN.findall(text)]
    return [f"{place}: {key}" for key, place in named if key not in SHORT | NO_CONFIG and not is_key(key)]


def test_every_key_of_every_message_exists():
    found = list(messages())
    assert len(found) > 500
    assert not unknown(found)


@pytest.mark.parametrize("text", ["give limits.memori=4", "backend.colour=red", "batch=2 or verify.nothing=1"])
def test_a_key_that_does_not_exist_is_found(text):
    assert unknown([("here", text)])


@pytest.mark.parametrize(
    "text", ["give limits.memory=4", "backend.cpu=portable", "model.inputs.x=1x3", "image=a.jpg", "metric.a=1"]
)
def test_a_key_that_exists_is_none_of_them(text):
    assert not unknown([("here", text)])
