"""What a running compile tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class RunStarted:
    """A compile began."""

    model: str
    name: str


@dataclass(frozen=True)
class StageStarted:
    """A stage began."""

    stage: str


@dataclass(frozen=True)
class StageProgressed:
    """A long stage got on.

    Attributes:
        share: Of it that is done, between 0 and 1.
        phase: What is going on.
    """

    share: float
    phase: str


@dataclass(frozen=True)
class StageFinished:
    """A stage ended.

    Attributes:
        stage: Its name.
        seconds: How long it took; for a cached stage, how long it had taken when it was made.
        cached: Whether it had been made before.
        detail: What came out, in a few words.
    """

    stage: str
    seconds: float
    cached: bool
    detail: str


@dataclass(frozen=True)
class Waiting:
    """Another process is writing the same bundle."""

    path: str


@dataclass(frozen=True)
class Warned:
    """Something that the user must know, and that is no failure."""

    message: str


@dataclass(frozen=True)
class Judged:
    """The verdict is known, before it is written into the bundle."""

    verdict: str


Event = RunStarted | StageStarted | StageProgressed | StageFinished | Waiting | Warned | Judged
Listener = Callable[[Event], None]
