"""YAML as OmegaConf reads it, ten times as fast where libyaml is there: its rules, over the parser in C."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader


def load_omegaconf_yaml(text: str) -> Any:
    """What is in a YAML document, by OmegaConf's rules of what is a number and which keys there may be.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    return yaml.load(text, Loader=loader())


@lru_cache(maxsize=1)
def loader() -> type[yaml.SafeLoader]:
    """OmegaConf's loader; where libyaml is there, with its parser in place of the one in Python."""
    slow: type[yaml.SafeLoader] = get_yaml_loader()
    if not yaml.__with_libyaml__:
        return slow

    class FastLoader(yaml.cyaml.CParser, slow):  # type: ignore[misc, valid-type]
        """The parser finds what resolves and constructs values in what OmegaConf has."""

        def __init__(self, stream: Any) -> None:
            yaml.cyaml.CParser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return FastLoader
