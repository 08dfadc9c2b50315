"""Rewriters: small, named, provable changes to a network on its way to a backend.

An author needs the four decorators, `Contract` and `Target`; `docs/rewriters.md` teaches them. The compiler also uses
`discover`, `select` and the ledger from here, and `rewriters.apply`, which is kept apart because it imports torch.
"""

from rewriters.calls import Call, FunctionCall, FusionCall, Skip
from rewriters.conditions import Conditions
from rewriters.contract import Contract
from rewriters.decorators import function_rewriter, fusion_rewriter, graph_rewriter, module_rewriter
from rewriters.definition import GraphRewriter, Rewriter
from rewriters.errors import RewriterCodeError, RewriterError
from rewriters.ledger import Entry, Ledger, unfired, with_measurement
from rewriters.registry import Selection, discover, select
from rewriters.target import RecordedTarget, Target

__all__ = [
    "Call",
    "Conditions",
    "Contract",
    "Entry",
    "FunctionCall",
    "FusionCall",
    "GraphRewriter",
    "Ledger",
    "RecordedTarget",
    "Rewriter",
    "RewriterCodeError",
    "RewriterError",
    "Selection",
    "Skip",
    "Target",
    "discover",
    "function_rewriter",
    "fusion_rewriter",
    "graph_rewriter",
    "module_rewriter",
    "select",
    "unfired",
    "with_measurement",
]
