"""What a network with a tail gives, by name."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.config.schema import TAILS

DETECTIONS = ("dets", "labels")
"""`[b, max_per_img, 5]`, x1, y1, x2, y2 and the score, the best first; and `[b, max_per_img]`. Where there are fewer
detections, rows of zeros follow, and their label is -1."""
CANDIDATES = ("boxes", "scores")
"""`[b, n, 4]`, x1, y1, x2, y2; and `[b, n, c]`, zero where a pair of a box and a class is not to be selected."""

RAW_CANDIDATES = (*CANDIDATES, "factors", "levels")
"""All there are, as the head decodes them; and `[b, n]`, what the scores are multiplied by once the best are chosen,
and which level a box is of: the best of each are chosen together."""

JOINED = "joined/"
"""What the names begin with of candidates that are put together before any of them is looked at."""

OUTPUTS = {"native": DETECTIONS, "host": CANDIDATES, "raw": RAW_CANDIDATES}
"""Of each tail."""


def candidate_name(level: int | None, name: str) -> str:
    """What a tensor of candidates is called: of one level, or of all as one."""
    return f"{JOINED if level is None else f'{level}/'}{name}"


def output_names(tail: str, extras: Iterable[str] = ()) -> tuple[str, ...]:
    """The names of a network's outputs, in order.

    Args:
        tail: Where detections are selected: `native`, `host` or `raw`.
        extras: Names of what is found beside a box; they come last, in alphabetical order.

    Raises:
        ValueError: There is no such tail, or an extra has the name of something else.
    """
    if tail not in TAILS:
        raise ValueError(f"tail is {tail}, and must be {' or '.join(TAILS)}")
    names = sorted(extras)
    if taken := {*DETECTIONS, *RAW_CANDIDATES}.intersection(names):
        raise ValueError(f"{', '.join(sorted(taken))} cannot be the name of what is found beside a box")
    return (*OUTPUTS[tail], *names)
