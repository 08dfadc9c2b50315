"""A case: hostile files in a folder, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.hostile.seeds import Seeds

INSIDE, OUTSIDE, SECRET = "inside", "outside", "secret.txt"
"""The folder a case runs in, one beside it, and a file there that nothing may look at."""


@dataclass(frozen=True)
class Case:
    """What is run.

    Attributes:
        words: A command line.
        call: In its place, something that a command line reaches at a higher price; its errors are shown the same way.
        reads_anywhere: The user named the files, so that they may lie anywhere.
        said: What the files are, for whoever looks into a case.
    """

    words: Sequence[str] = ()
    call: Callable[[], object] | None = field(default=None, compare=False)
    reads_anywhere: bool = False
    said: str = ""


Kind = Callable[[Random, Seeds, Path], Case]
"""Makes a case: writes its files into the folder, which is also where it runs."""
