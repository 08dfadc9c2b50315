"""`precision=auto`: every precision of the backend is tried here, and the fastest that is proven is compiled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compiler.config import CompileConfig
from compiler.events import Listener
from compiler.pipeline.run import compile_bundle, try_precision
from compiler.report.outcome import Outcome
from compiler.report.speed import FP32, Tried, fastest_of


def compile_fastest(
    config: CompileConfig, in_precision: Callable[[str], CompileConfig], listen: Listener = lambda event: None
) -> Outcome:
    """Compile in the precision that is the fastest on this machine of those that are proven, and no slower than fp32.

    The bundle is that of the precision that was chosen, under its name. What else was tried stays among the finished
    stages alone.

    Args:
        config: Composed and checked, with `precision=auto`.
        in_precision: Composes the same config in a precision.
        listen: Told what happens while it happens.

    Raises:
        UsageError: The config is wrong in one of the precisions.
        CompileError: Nothing usable could be made in the one that was chosen.
    """
    lower = [one for one in config.backend_facts.PRECISIONS if one != FP32]
    found = tuple(try_precision(in_precision(one), listen) for one in lower)
    chosen = fastest_of(found)
    tried = tuple(replace(one, chosen=one.precision == chosen) for one in (Tried(FP32), *found))
    return replace(compile_bundle(in_precision(chosen), listen, tried), tried=tried)
