"""Reads a config file and its bases, and merges them."""

from __future__ import annotations

import ast
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from compiler.artifact.reading import reason
from compiler.config.plain_yaml import BoundedLoader
from compiler.errors import UsageError
from compiler.openmmlab.reader.bases import find_base
from compiler.openmmlab.reader.budget import Budget, Refusal
from compiler.openmmlab.reader.expressions import Imported
from compiler.openmmlab.reader.statements import BASE, Statements
from compiler.openmmlab.reader.text import read_text
from compiler.openmmlab.reader.values import Inherited, inherit, merge, plain, with_scope

_MOST_FILES = 200
_DEEPEST_CHAIN = 20
_RESERVED = ("filename", "text", "pretty_text", "env_variables")


def read_config(path: Path, packages: Mapping[str, Path] | None = None) -> dict[str, Any]:
    """What an OpenMMLab config file holds, its bases merged in, as MMEngine's `Config.fromfile` reads it.

    Nothing is run and nothing is imported: the syntax of the file is walked through, and what can only be known by
    running it is refused. Time and memory are bounded whatever the file holds.

    Args:
        path: A `.py` file that is no lazy config, or a `.json` or `.yaml` dump of one.
        packages: The `.mim/configs` folders of OpenMMLab packages by the package's name, for bases such as
            `mmdet::_base_/default_runtime.py`. A package that is not among them is looked for where it is installed.

    Returns:
        Plain dictionaries, lists, tuples, numbers, texts, booleans and None. A set is a list.

    Raises:
        UsageError: The file or one of its bases is missing, too large, or holds what is not read; says where.
    """
    config = _Reader(packages or {}).read(Path(path).absolute(), ())
    for key in _RESERVED:
        if key in config:
            raise UsageError(f"the key {key} is MMEngine's own", where=str(path), fix="give it another name")
    return config


class _Reader:
    """Reads one config with all its bases, on one budget."""

    def __init__(self, packages: Mapping[str, Path]) -> None:
        self._packages = packages
        self._budget = Budget()
        self._files = 0

    def read(self, path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
        """What a file and its bases hold; `children` are the files on the way to it."""
        try:
            return self._read(path, children)
        except RecursionError:
            raise _error(path, Refusal("the file is nested too deeply")) from None
        except Refusal as refusal:
            raise _error(path, refusal) from None

    def _read(self, path: Path, children: tuple[Path, ...]) -> dict[str, Any]:
        self._files += 1
        if self._files > _MOST_FILES or len(children) > _DEEPEST_CHAIN:
            raise Refusal(
                f"there are more than {_MOST_FILES} bases, or more than {_DEEPEST_CHAIN} one behind the other"
            )
        text = read_text(path)
        file = Path(os.path.realpath(path))
        if file in children:
            raise Refusal("the file is a base of itself", f"see _base_ in {children[-1]}")
        chain = (*children, file)
        if path.suffix == ".py":
            base, own = self._python(path, text, chain)
        else:
            own = _load(path, text)
            base = self._bases(own.pop(BASE, []), path, chain)
        own.pop("_deprecation_", None)
        named = {name: value for name, value in own.items() if not str(name).startswith("__")}
        return merge(plain(named, self._budget, base), plain(base, self._budget, {}))

    def _python(self, path: Path, text: str, chain: tuple[Path, ...]) -> tuple[Inherited, dict[str, Any]]:
        body = _parse(path, text)
        assignments = [node for node in body if isinstance(node, ast.Assign) and _assigns_base(node)]
        base = Inherited()
        for node in assignments[:1]:
            names = Statements(str(path), {}, self._budget).evaluate(node.value)
            base = self._bases(names, path, chain)
        reader = Statements(str(path), {BASE: base}, self._budget)
        reader.execute([node for node in body if node not in assignments])
        own = {name: value for name, value in reader.names.items() if name != BASE and not isinstance(value, Imported)}
        return base, own

    def _bases(self, names: Any, path: Path, chain: tuple[Path, ...]) -> Inherited:
        merged = Inherited()
        for name in names if isinstance(names, list) else [names]:
            if not isinstance(name, str):
                raise Refusal(f"_base_ is a path or a list of paths, and holds a {type(name).__name__}")
            file, scope = find_base(name, path, self._packages)
            config = self.read(file, chain)
            twice = sorted(merged.keys() & config.keys())
            if twice:
                raise Refusal(f"two bases both have {', '.join(twice)}", "leave it to one of them")
            merged.update(inherit(with_scope(config, scope) if scope else config))
        return merged


def _assigns_base(node: ast.Assign) -> bool:
    return isinstance(node.targets[0], ast.Name) and node.targets[0].id == BASE


def _parse(path: Path, text: str) -> list[ast.stmt]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in a text is the config's own affair
            return ast.parse(text).body
    except SyntaxError as error:
        raise _error(path, Refusal(f"this is no Python: {error.msg}"), error.lineno) from None
    except (ValueError, MemoryError) as error:
        raise Refusal(f"this is no Python: {str(error) or 'nested too deeply'}") from None


class _Loader(BoundedLoader):
    """Reads the tuples that MMEngine writes, and no merge keys: a few of them can stand for billions of entries."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        if any(key.tag == "tag:yaml.org,2002:merge" for key, _ in node.value):
            raise Refusal("a merge key (<<) is not read")
        super().flatten_mapping(node)

    def tuple(self, node: yaml.SequenceNode) -> tuple[Any, ...]:
        return tuple(self.construct_sequence(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _Loader.tuple)


def _load(path: Path, text: str) -> dict[str, Any]:
    try:
        config = json.loads(text) if path.suffix == ".json" else yaml.load(text, Loader=_Loader)
    except (RecursionError, Refusal):
        raise
    except Exception as error:  # the parser of YAML has no common base class for what a tag makes of a text
        raise Refusal(f"the file cannot be parsed: {reason(error)}") from None
    if not isinstance(config, dict):
        raise Refusal(f"a config is a dictionary, and this file holds a {type(config).__name__}")
    return config


def _error(path: Path, refusal: Refusal, line: int | None = None) -> UsageError:
    where = f"{path}:{line}" if line else str(path)
    return UsageError("this config cannot be read", where=where, why=refusal.why, fix=refusal.fix)
