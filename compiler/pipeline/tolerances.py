"""What the stages of a compile are held to, by its config."""

from __future__ import annotations

from compiler.config import CompileConfig
from compiler.proof import Tolerance

REDUCED_TOLERANCES = {"fp16": 0.1, "bf16": 1.0, "int8": None}
"""The largest absolute error in the yardstick of an output, where the config says nothing; None for no limit. What
int8 is off by in the worst place says little: it is held to the mean of squares, `verify.reduced_typical`."""


def proof_tolerance(config: CompileConfig) -> Tolerance:
    """What a Program in a config's precision, and its engine, are held to."""
    return tolerance_of(config, config.precision)


def tolerance_of(config: CompileConfig, precision: str) -> Tolerance:
    """What a Program in some precision is held to."""
    verify = config.verify
    if precision == "fp32":
        return Tolerance(verify.tolerance, verify.decoded_tolerance)
    relative = REDUCED_TOLERANCES[precision] if verify.reduced_tolerance is None else verify.reduced_tolerance
    return Tolerance(relative, verify.decoded_tolerance, verify.reduced_cosine, verify.reduced_typical)


def lossy_tolerance(config: CompileConfig) -> Tolerance:
    """What a network is held to that a lossy rewriter has changed."""
    verify = config.verify
    return Tolerance(None, verify.decoded_tolerance, verify.reduced_cosine, verify.reduced_typical)
