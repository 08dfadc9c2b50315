"""Plots as plain numbers: where lines and ticks are in a drawing, which a template then draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from compiler.profiling.results import MILLI, Comparison, Timing

WIDTH, HEIGHT = 640, 220
"""Of what lines are drawn in, in units of the drawing."""
MOST_POINTS = 2000
"""Of a line: of more samples every so many-th is drawn."""
TICKS = 5
"""About how many an axis has."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Tick:
    """A number on an axis, and where it is in the drawing."""

    at: float
    text: str


@dataclass(frozen=True)
class Line:
    """A line, or dots, of one bundle.

    Attributes:
        label: Of the bundle.
        points: In the drawing, as SVG writes them: `x,y x,y`.
    """

    label: str
    points: str


@dataclass(frozen=True)
class Plot:
    """Lines over two axes.

    Attributes:
        title: What is seen.
        across: What the horizontal axis counts.
        up: What the vertical one counts.
        lines: Of each bundle.
        x_ticks: On the horizontal axis.
        y_ticks: On the vertical one.
    """

    title: str
    across: str
    up: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def runs_plot(labels: Sequence[str], timings: Sequence[Timing]) -> Plot:
    """What every run took, one after the other."""
    series = [[(float(run), seconds * MILLI) for run, seconds in enumerate(one.samples, 1)] for one in timings]
    return _plot("Every run", "run", "ms", labels, [_thinned(one) for one in series])


def shares_plot(labels: Sequence[str], timings: Sequence[Timing]) -> Plot:
    """For each time, the share of the runs that took no longer."""
    series = [
        [(seconds * MILLI, rank / len(one.samples)) for rank, seconds in enumerate(sorted(one.samples), 1)]
        for one in timings
    ]
    return _plot("Share of the runs that take no longer", "ms", "share", labels, [_thinned(one) for one in series])


def ratios_plot(comparisons: Sequence[Comparison]) -> Plot:
    """The ratio to the first bundle, round by round."""
    series = [[(float(number), ratio) for number, ratio in enumerate(one.ratios, 1)] for one in comparisons]
    labels = [one.label for one in comparisons]
    return _plot(f"Time beside that of {comparisons[0].baseline}", "round", "ratio", labels, series, reaching=1.0)


def _thinned(points: Points) -> Points:
    return points[:: math.ceil(len(points) / MOST_POINTS)]


def _plot(
    title: str, across: str, up: str, labels: Sequence[str], series: Sequence[Points], reaching: float = 0.0
) -> Plot:
    """Lines over axes that hold them all; the vertical one begins at 0 and reaches at least so far."""
    xs, ys = ([point[axis] for points in series for point in points] for axis in (0, 1))
    x_marks, y_marks = ticks(min(xs), max(xs)), ticks(0.0, max(*ys, reaching))

    def place(x: float, y: float) -> tuple[float, float]:
        return _along(x, x_marks) * WIDTH, HEIGHT - _along(y, y_marks) * HEIGHT

    lines = [
        Line(label, " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points))
        for label, points in zip(labels, series, strict=True)
    ]
    x_ticks = [Tick(place(mark, 0)[0], f"{mark:g}") for mark in x_marks]
    y_ticks = [Tick(place(x_marks[0], mark)[1], f"{mark:g}") for mark in y_marks]
    return Plot(title, across, up, tuple(lines), tuple(x_ticks), tuple(y_ticks))


def ticks(low: float, high: float) -> tuple[float, ...]:
    """Round numbers, evenly spaced, that `low` and `high` lie between."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power * TICKS >= span)
    first, last = math.floor(low / step), math.ceil(high / step)
    return tuple(float(f"{number * step:.12g}") for number in range(first, max(last, first + 1) + 1))


def _along(value: float, marks: Sequence[float]) -> float:
    """How far a value is on an axis, from 0 at its first mark to 1 at its last."""
    return (value - marks[0]) / (marks[-1] - marks[0])
