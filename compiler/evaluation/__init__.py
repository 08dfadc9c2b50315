"""How well bundles do on a data set."""

from compiler.evaluation.options import EvaluationOptions
from compiler.evaluation.results import Column, Evaluation, is_saved
from compiler.evaluation.side_by_side import evaluate
from compiler.runtime.opening import Opening

__all__ = [
    "Column",
    "Evaluation",
    "EvaluationOptions",
    "Opening",
    "evaluate",
    "is_saved",
]
