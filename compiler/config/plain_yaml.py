"""YAML that is data alone: every text is itself, nothing refers to anything and nothing is resolved."""

from __future__ import annotations

import re
from typing import Any

import yaml

from compiler.printable import printable

_FLOAT = "tag:yaml.org,2002:float"
_EXPONENT = re.compile(r"[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
"""A number such as 1e-4, which YAML 1.1 takes for a text and everybody else for a number."""


class PlainDumper(yaml.SafeDumper):
    """Writes what is the same in two places twice."""

    def ignore_aliases(self, data: Any) -> bool:
        """Refer to nothing."""
        return True


class PlainLoader(yaml.SafeLoader):
    """Refuses a key that stands there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The keys and values of a mapping."""
        keys: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in keys:  # in the words of OmegaConf, which refuses the same
                raise yaml.constructor.ConstructorError(None, None, f"found duplicate key {key.value}", key.start_mark)
            keys.add(key.value)
        return super().construct_mapping(node, deep)


PlainDumper.add_representer(tuple, PlainDumper.represent_list)
for _kind in (PlainDumper, PlainLoader):
    _kind.add_implicit_resolver(_FLOAT, _EXPONENT, list("-+.0123456789"))


def dump_yaml(value: Any, dumper: type[yaml.SafeDumper] = PlainDumper, **options: Any) -> str:
    """Values as YAML, in the order that they have; a character is escaped where any of them does not show itself."""
    settings = {"Dumper": dumper, "sort_keys": False, **options}
    text: str = yaml.dump(value, allow_unicode=True, **settings)
    return text if printable(text) == text else yaml.dump(value, allow_unicode=False, **settings)


def load_yaml(text: str) -> Any:
    """What is in a YAML document. What a damaged one makes the parser raise has no common base class."""
    return yaml.load(text, Loader=PlainLoader)
