"""What profiling finds out, as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.printable import printable
from compiler.profiling.console import LAYERS, NO_LAYERS, memory_text
from compiler.profiling.plots import HEIGHT, WIDTH, Plot, ratios_plot, runs_plot, shares_plot
from compiler.profiling.results import MILLI, BundleProfile, Comparison, Profile, Timing
from compiler.report.pages import template

COLORS = ("#2f6fb5", "#c4622d", "#3d8b57", "#8e4fa8", "#b08b1e", "#4d7f8c")
"""Of bundles, in turn: to be told apart on white and on black."""


@dataclass(frozen=True)
class InputSection:
    """What engines take at one input.

    Attributes:
        timings: Of each bundle.
        comparisons: Of each with the first; nothing where there is one only.
        plots: Of both.
    """

    timings: tuple[Timing, ...]
    comparisons: tuple[Comparison, ...]
    plots: tuple[Plot, ...]


def page(profile: Profile) -> str:
    """The page: tables as in a terminal, and plots of the samples."""
    rendered = template("profile.html.jinja", Path(__file__).parent / "templates").render(
        profile=profile,
        sections=sections(profile),
        colors={bundle.label: COLORS[index % len(COLORS)] for index, bundle in enumerate(profile.bundles)},
        memory=memory_text,
        slowest=slowest,
        no_layers=NO_LAYERS,
        ms=MILLI,
        width=WIDTH,
        height=HEIGHT,
    )
    return printable(rendered)


def sections(profile: Profile) -> list[InputSection]:
    """A section for each input."""
    labels = [bundle.label for bundle in profile.bundles]
    found = []
    for index in range(len(profile.bundles[0].timings)):
        timings = tuple(bundle.timings[index] for bundle in profile.bundles)
        comparisons = profile.comparisons[index] if profile.comparisons else ()
        ratios = (ratios_plot(comparisons),) if comparisons else ()
        plots = (runs_plot(labels, timings), shares_plot(labels, timings), *ratios)
        found.append(InputSection(timings, comparisons, plots))
    return found


def slowest(bundle: BundleProfile) -> Sequence[tuple[str, str, float, float]]:
    """The layers that take most: their names, operators, milliseconds, and shares of all."""
    layers = bundle.layers or ()
    whole = sum(layer.seconds for layer in layers) or 1.0
    ranked = sorted(layers, key=lambda layer: -layer.seconds)[:LAYERS]
    return [(layer.name, layer.operator, layer.seconds * MILLI, layer.seconds / whole) for layer in ranked]
