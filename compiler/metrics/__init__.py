"""Metrics: one file each, over a maintained library where there is one."""

from compiler.metrics.metric import Metric, Predictions, ResultFormat

__all__ = [
    "Metric",
    "Predictions",
    "ResultFormat",
]
