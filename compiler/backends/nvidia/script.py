"""The program that builds an engine where there is a GPU, for bundles that were made where there is none."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from pprint import pformat
from textwrap import indent

from compiler.backends.nvidia.build_engine import Settings

SOURCE = Path(__file__).with_name("build_engine.py")
PLACEHOLDER = "SETTINGS = Settings()\n"


def build_script(settings: Settings) -> str:
    """`build_engine.py` for one Program: what the backend builds with, the settings written into it.

    It reads `end2end.onnx` beside it and writes `end2end.engine` and `engine_details.json`; the names can be given.
    """
    values = {field.name: getattr(settings, field.name) for field in fields(Settings)}
    lines = [f"{name}={pformat(value, width=100)},\n" for name, value in values.items()]
    literal = f"SETTINGS = Settings(\n{indent(''.join(lines), '    ')})\n"
    source = SOURCE.read_text(encoding="utf-8").replace("  # type: ignore[misc]", "")
    return source.replace(PLACEHOLDER, literal)
