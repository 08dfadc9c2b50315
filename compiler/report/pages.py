"""Pages for people: self-contained HTML, from templates that share a style."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import jinja2

from compiler.report.numbers import error_text, seconds_text

OURS = Path(__file__).parent / "templates"


def template(name: str, folder: Path = OURS) -> jinja2.Template:
    """A template: what it is given is text, unless it says otherwise, and what it is not given is an error.

    Args:
        name: Of its file.
        folder: Where that is; those of reports are found from everywhere, such as their style.
    """
    return _environment(folder).get_template(name)


@cache
def _environment(folder: Path) -> jinja2.Environment:
    """What templates are read by, and kept: the jobs of a sweep share them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, OURS]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"error": error_text, "seconds": seconds_text}
    return environment
