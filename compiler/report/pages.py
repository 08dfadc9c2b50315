"""Pages for people: self-contained HTML, from templates that share a style."""

from __future__ import annotations

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
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, OURS]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"error": error_text, "seconds": seconds_text}
    return environment.get_template(name)
