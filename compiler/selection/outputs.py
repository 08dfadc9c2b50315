"""What a network with a tail gives, by name."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.config.schema import TAILS

DETECTIONS = ("dets", "labels")
"""`[b, max_per_img, 5]`, x1, y1, x2, y2 and the score, the best first; and `[b, max_per_img]`. Where there are fewer
detections, rows of zeros follow, and their label is -1."""
CANDIDATES = ("boxes", "scores")
"""`[b, n, 4]`, x1, y1, x2, y2; and `[b, n, c]`, zero where a pair of a box and a class is not to be selected."""

JOINED = "joined/"
"""What the names begin with of candidates that are put together before any of them is looked at."""


def candidate_name(level: int | None, name: str) -> str:
    """What a tensor of candidates is called: of one level, or of all as one."""
    return f"{JOINED if level is None else f'{level}/'}{name}"


def output_names(tail: str, extras: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of a network's outputs, in order.

    Args:
        tail: Where detections are selected: `native` or `host`.
        extras: Names of what is found beside a box; they come last, in alphabetical order.

    Raises:
        ValueError: There is no such tail, or an extra has the name of something else.
    """
    if tail not in TAILS:
        raise ValueError(f"tail is {tail}, and must be {' or '.join(TAILS)}")
    names = sorted(extras)
    if taken := {*DETECTIONS, *CANDIDATES}.intersection(names):
        raise ValueError(f"{', '.join(sorted(taken))} cannot be the name of what is found beside a box")
    return (*(DETECTIONS if tail == "native" else CANDIDATES), *names)
