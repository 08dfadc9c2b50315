"""How well bundles do on a data set."""

from compiler.evaluation.evaluation import Column, Evaluation, is_saved
from compiler.evaluation.options import EvaluationOptions
from compiler.evaluation.side_by_side import evaluate
from compiler.evaluation.subjects import Opening

__all__ = [
    "Column",
    "Evaluation",
    "EvaluationOptions",
    "Opening",
    "evaluate",
    "is_saved",
]
