"""Measure what bundles take: latency, steps, layers and memory, side by side. Needs no torch."""

from compiler.backends import LayerTime
from compiler.profiling.measure import Progress, profile
from compiler.profiling.results import BundleProfile, Comparison, Profile, Step, Timing
from compiler.profiling.statistics import Spread, Statistics

__all__ = [
    "BundleProfile",
    "Comparison",
    "LayerTime",
    "Profile",
    "Progress",
    "Spread",
    "Statistics",
    "Step",
    "Timing",
    "profile",
]
