"""What is known of MMDeploy's names, keys and commands: data beside this file, read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any


@cache
def facts(file: str) -> Mapping[str, Any]:
    """The data of a file beside this one, such as `names`."""
    import yaml

    text = Path(__file__).with_name(f"{file}.yaml").read_text("utf-8")
    values: Mapping[str, Any] = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return values
