"""YAML that is data alone: every text is itself, nothing refers to anything and nothing is resolved."""

from __future__ import annotations

import re
from typing import Any

import yaml

from compiler.printable import printable

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_EXPONENT = re.compile(r"[-+]?(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)[eE][-+]?\d+$")
"""A number such as 1e-4, which YAML 1.1 takes for a text and everybody else for a number."""


LONGEST_NUMBER = 400
"""Characters: all digits of the largest float have fewer."""


class PlainDumper(yaml.SafeDumper):
    """Writes what is the same in two places twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Refer to nothing."""
        return True


class PlainLoader(yaml.SafeLoader):
    """Refuses a key that stands there twice, and what would take long to read."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The keys and values of a mapping."""
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise _refused(key, f"the key {key.value} stands there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge nothing into a mapping: `<<` has no meaning here, and is refused."""

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A number."""
        number: int = super().construct_yaml_int(_checked_number(node))
        return number

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """A number."""
        number: float = super().construct_yaml_float(_checked_number(node))
        return number


def _checked_number(node: yaml.ScalarNode) -> yaml.ScalarNode:
    """A number that takes no time to read: what is long, or in base 60, takes the square of its length."""
    if ":" in node.value or len(node.value) > LONGEST_NUMBER:
        raise _refused(node, f"a number is of base 10 and has no more than {LONGEST_NUMBER} digits")
    return node


def _refused(node: yaml.Node, why: str) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


PlainDumper.add_representer(tuple, PlainDumper.represent_list)
for _kind in (PlainDumper, PlainLoader):
    _kind.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))
PlainLoader.add_constructor(_INT, PlainLoader.construct_yaml_int)
PlainLoader.add_constructor(_FLOAT, PlainLoader.construct_yaml_float)


def dump_yaml(value: Any, dumper: type[yaml.SafeDumper] = PlainDumper, **options: Any) -> str:
    """Values as YAML, in the order that they have; a character is escaped where any of them does not show itself."""
    settings = {"Dumper": dumper, "sort_keys": False, **options}
    text: str = yaml.dump(value, allow_unicode=True, **settings)
    return text if printable(text) == text else yaml.dump(value, allow_unicode=False, **settings)


def load_yaml(text: str) -> Any:
    """What is in a YAML document. What a damaged one makes the parser raise has no common base class."""
    return yaml.load(text, Loader=PlainLoader)
