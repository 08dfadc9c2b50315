"""What profiling finds out, in a terminal: in the tables that users of MMDeploy's profilers know."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from compiler.backends import LayerTime
from compiler.profiling.results import MILLI, BundleProfile, Comparison, Profile, Step, Timing
from compiler.report.numbers import size_text
from compiler.report.text import shown

LAYERS = 15
"""Of the slowest, which are shown; the JSON file has all."""
NO_LAYERS = "this backend has no profiler that times its layers"


def print_profile(screen: Console, profile: Profile) -> None:
    """Print what each bundle takes, and what it takes beside the first."""
    machine = ", ".join(f"{name}: {value}" for name, value in profile.machine.items())
    screen.print(shown(machine), soft_wrap=True)
    for bundle in profile.bundles:
        _print_bundle(screen, bundle, profile)
    for index, comparisons in enumerate(profile.comparisons):
        screen.print("----- Compared, in turns:")
        screen.print(_comparison_table(profile.bundles, index, comparisons))


def _print_bundle(screen: Console, bundle: BundleProfile, profile: Profile) -> None:
    screen.print(f"\n[bold]{shown(bundle.label)}[/]", soft_wrap=True)
    screen.print(shown(f"{bundle.model} on {bundle.backend} {bundle.library}"), soft_wrap=True)
    for timing in bundle.timings:
        screen.print("----- Settings:")
        screen.print(settings_table(timing, bundle.threads, profile))
        screen.print("----- Results:")
        screen.print(results_table(timing))
    screen.print(_once_line(bundle), soft_wrap=True)
    screen.print("----- From file to result:")
    screen.print(steps_table(bundle.steps))
    if bundle.layers is None:
        screen.print(f"----- Layers: {NO_LAYERS}")
    else:
        screen.print(f"----- Layers, at {bundle.timings[0].input}:")
        screen.print(layers_table(bundle.layers))


def settings_table(timing: Timing, threads: int | None, profile: Profile) -> Table:
    """What was measured."""
    table = _centred(show_header=False)
    rows: dict[str, object] = {
        "batch size": timing.input.batch,
        "shape": timing.shape or "-",
        "iterations": profile.iterations,
        "warmup": profile.warmup,
    }
    for name, value in (rows if threads is None else {**rows, "threads": threads}).items():
        table.add_row(name, str(value))
    return table


def results_table(timing: Timing) -> Table:
    """What an engine takes, and how many items of its batch a second that is."""
    table = _centred("Stats", "Latency/ms", "FPS")
    for name, seconds in timing.statistics.rows:
        table.add_row(name, f"{seconds * MILLI:.3f}", f"{timing.per_second(seconds):.3f}")
    return table


def steps_table(steps: Iterable[Step]) -> Table:
    """What each step takes, those that a step consists of set in below it; times are in milliseconds."""
    headings = ("occupy", "usage", "n_call", "t_mean", "t_50%", "t_90%")
    table = Table("name", box=box.ASCII_DOUBLE_HEAD, show_lines=True)
    for heading in headings:
        table.add_column(heading)
    for step in steps:
        # One step runs at a time, so that what is occupied is what is used.
        share = "-" if step.is_whole else f"{step.share:.3f}"
        taken = step.statistics
        times = (f"{seconds * MILLI:.3f}" for seconds in (taken.mean, taken.median, taken.p90))
        table.add_row(f"{'    ' * (len(step.path) - 1)}{step.path[-1]}", share, share, str(taken.count), *times)
    return table


def layers_table(layers: Sequence[LayerTime]) -> Table:
    """The layers that take most, and all others together."""
    table = Table("layer", "operator", "ms", "share", box=box.ASCII2)
    whole = sum(layer.seconds for layer in layers)
    slowest = sorted(layers, key=lambda layer: -layer.seconds)
    rest = slowest[LAYERS:]
    others = [LayerTime(f"{len(rest)} others", "", sum(layer.seconds for layer in rest))] if rest else []
    for layer in (*slowest[:LAYERS], *others):
        share = layer.seconds / whole if whole else 0.0
        table.add_row(shown(layer.name), shown(layer.operator), f"{layer.seconds * MILLI:.3f}", f"{share:.3f}")
    return table


def _comparison_table(bundles: Sequence[BundleProfile], index: int, comparisons: Sequence[Comparison]) -> Table:
    """The medians of engines at one input, and their ratios to the first, round by round."""
    table = Table("bundle", "input", "median/ms", "FPS", "ratio", "quartiles", box=box.ASCII2)
    for bundle, comparison in zip(bundles, (None, *comparisons), strict=True):
        timing = bundle.timings[index]
        median = timing.statistics.median
        ratio, quartiles = "1", ""
        if comparison is not None:
            spread = comparison.spread
            ratio, quartiles = f"{spread.median:.3f}", f"{spread.lower:.3f} to {spread.upper:.3f}"
        figures = f"{median * MILLI:.3f}", f"{timing.per_second(median):.3f}"
        table.add_row(shown(bundle.label), str(timing.input), *figures, ratio, quartiles)
    return table


def _once_line(bundle: BundleProfile) -> str:
    """What is taken once: opening, the first runs, memory."""
    firsts = ", ".join(f"{timing.first * MILLI:.3f} ms at {timing.input}" for timing in bundle.timings)
    return f"load {bundle.load * MILLI:.3f} ms, first run {firsts}; {memory_text(bundle)}"


def memory_text(bundle: BundleProfile) -> str:
    """The memory of the process that ran a bundle."""
    if bundle.memory is None or bundle.memory_before is None:
        return "peak memory: this system does not say"
    return (
        f"peak memory {size_text(bundle.memory)}, {size_text(bundle.memory_before)} of it before the bundle was opened"
    )


def _centred(*headings: str, show_header: bool = True) -> Table:
    table = Table(box=box.ASCII2, show_header=show_header)
    for heading in headings or ("", ""):
        table.add_column(heading, justify="center")
    return table
