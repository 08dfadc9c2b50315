"""Plain PyTorch networks, as their papers draw them.

State-dict keys and shapes equal OpenMMLab's, and constructors take what the nodes of an OpenMMLab config hold. Nothing
in a network knows that it will be exported: what a backend needs to be different is a rewriter's business.
"""

from compiler.networks.build import build, with_tail

__all__ = [
    "build",
    "with_tail",
]
