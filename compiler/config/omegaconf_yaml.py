"""YAML as OmegaConf reads it, ten times as fast where libyaml is there."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml
from omegaconf._utils import get_yaml_loader

from compiler.config.c_parser import over_c_parser


def load_omegaconf_yaml(text: str) -> Any:
    """What is in a YAML document of ours, by OmegaConf's rules of what is a number and which keys there may be.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    return yaml.load(text, Loader=_loader())


@cache
def _loader() -> type[yaml.SafeLoader]:
    return over_c_parser(get_yaml_loader())
