"""Applying a selection of rewriters to a network and to its ONNX graph. Imports torch and onnx."""

from rewriters.apply.graphs import apply_graph_rewriter
from rewriters.apply.networks import RewrittenNetwork, rewritten
from rewriters.apply.tracing import rewriting

__all__ = ["RewrittenNetwork", "apply_graph_rewriter", "rewriting", "rewritten"]
