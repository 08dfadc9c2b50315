"""YAML that is data alone: every text is itself, nothing refers to anything and nothing is resolved."""

from __future__ import annotations

import re
from typing import Any

import yaml

from compiler.config.c_parser import over_c_parser
from compiler.printable import printable

_INT, _FLOAT, _MERGE = (f"tag:yaml.org,2002:{name}" for name in ("int", "float", "merge"))
_EXPONENT = re.compile(r"[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+$")
"""A number such as 1e-4, which YAML 1.1 takes for a text and everybody else for a number."""

LONGEST_NUMBER = 400
"""Characters: all digits of the largest float have fewer."""


class PlainDumper(yaml.SafeDumper):
    """Writes what is the same in two places twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Refer to nothing."""
        return True


class BoundedLoader(yaml.SafeLoader):
    """Refuses numbers that would take long to read."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A number."""
        number: int = super().construct_yaml_int(_checked_number(node))
        return number

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """A number."""
        number: float = super().construct_yaml_float(_checked_number(node))
        return number


class PlainLoader(BoundedLoader):
    """Refuses a key that stands there twice, and what would take long to read."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The keys and values of a mapping."""
        keys: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in keys:  # in the words of OmegaConf, which refuses the same
                raise _refused(key, f"found duplicate key {key.value}")
            keys.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what `<<` names in its place."""
        if sum(key.tag == _MERGE for key, _ in node.value) > 1:
            raise _refused(node, "found duplicate key <<")
        super().flatten_mapping(node)


def _checked_number(node: yaml.ScalarNode) -> yaml.ScalarNode:
    """A number that takes no time to read: a long one, as in base 60, takes the square of its length."""
    if len(node.value) > LONGEST_NUMBER:
        raise _refused(node, f"a number has no more than {LONGEST_NUMBER} digits")
    return node


def _refused(node: yaml.Node, why: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


PlainDumper.add_representer(tuple, PlainDumper.represent_list)
for _kind in (PlainDumper, PlainLoader):
    _kind.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))
BoundedLoader.add_constructor(_INT, BoundedLoader.construct_yaml_int)
BoundedLoader.add_constructor(_FLOAT, BoundedLoader.construct_yaml_float)


def dump_yaml(value: Any, dumper: type[yaml.SafeDumper] = PlainDumper, **options: Any) -> str:
    """Values as YAML, in the order that they have; a character is escaped where any of them does not show itself."""
    settings = {"Dumper": dumper, "sort_keys": False, **options}
    text: str = yaml.dump(value, allow_unicode=True, **settings)
    return text if printable(text) == text else yaml.dump(value, allow_unicode=False, **settings)


_FastLoader = over_c_parser(PlainLoader)


def load_checked_yaml(text: str) -> Any:
    """The same as `load_yaml`, of a text that was looked at: see `check_yaml`."""
    try:
        return yaml.load(text, Loader=_FastLoader)
    except Exception:  # what libyaml refuses, and what is wrong, is told by the parser in Python
        return load_yaml(text)


def load_yaml(text: str) -> Any:
    """What is in a YAML document. What a damaged one makes the parser raise has no common base class."""
    return yaml.load(text, Loader=PlainLoader)
