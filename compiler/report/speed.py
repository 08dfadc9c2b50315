"""How fast an engine in a lower precision is, beside the same network in fp32, on one machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

FP32 = "fp32"
ALIKE = 0.03
"""Shares of fp32's time that are no difference: runs of one engine are as far apart."""


@dataclass(frozen=True)
class Speed:
    """What an engine takes in a lower precision and in fp32, in turns: the fastest of several runs of each.

    Attributes:
        precision: The lower one.
        milliseconds: In it.
        fp32_milliseconds: In fp32.
        machine: Where, in a few words.
    """

    precision: str
    milliseconds: float
    fp32_milliseconds: float
    machine: str

    def __post_init__(self) -> None:
        # A report may come from somebody else, and is shown with what follows from it.
        if not (0 <= self.milliseconds < inf and 0 < self.fp32_milliseconds < inf):
            raise ValueError(f"{self.milliseconds} and {self.fp32_milliseconds} ms are no times of engines")

    @property
    def ratio(self) -> float:
        """Of fp32's time."""
        return self.milliseconds / self.fp32_milliseconds

    @property
    def is_slower(self) -> bool:
        """Whether fp32 is faster here."""
        return self.ratio > 1 + ALIKE

    @property
    def is_faster(self) -> bool:
        """Whether the lower precision gains anything here."""
        return self.ratio < 1 - ALIKE

    def __str__(self) -> str:
        figures = f"{self.milliseconds:.3g} of {self.fp32_milliseconds:.3g} ms"
        if self.is_slower:
            return (
                f"{self.precision} is slower than fp32: {self.ratio:.2f} of its time here ({figures}, {self.machine})"
            )
        alike = "" if self.is_faster else ", which is no difference"
        return f"{self.precision} {self.ratio:.2f} of fp32 here ({figures}, {self.machine}){alike}"


@dataclass(frozen=True)
class Tried:
    """A precision that `precision=auto` tried.

    Attributes:
        precision: Its name.
        problem: Why it could not be chosen, such as what is not proven; empty where it could.
        speed: Beside fp32; None where there is none to be measured.
        chosen: Whether it was.
    """

    precision: str
    problem: str = ""
    speed: Speed | None = None
    chosen: bool = False

    def __str__(self) -> str:
        said = f"{self.speed}" if self.speed else self.precision
        return f"{said}: {' '.join(self.problem.split())}" if self.problem else said

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tried:
        """Read what a report holds."""
        speed = values["speed"] and Speed(**values["speed"])
        return cls(**{**values, "speed": speed})


def fastest_of(tried: tuple[Tried, ...]) -> str:
    """The precision to choose: the fastest that is proven and faster than fp32; fp32 where there is none."""
    faster = [one for one in tried if one.speed and one.speed.is_faster and not one.problem]
    return min(faster, key=lambda one: one.speed.ratio if one.speed else 1.0).precision if faster else FP32
