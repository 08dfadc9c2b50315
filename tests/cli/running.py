"""Runs a verb in the process of the test, so that what it raises is seen."""

from __future__ import annotations

from compiler.cli.verbs import understood


def run_verb(*words: str) -> int:
    """The exit status of a command line that names a verb."""
    verb, given = understood(words)
    return verb.run(given)
