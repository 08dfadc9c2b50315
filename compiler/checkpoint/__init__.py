"""Checkpoints: read safely, slimmed to their weights, matched to the network, or drawn where there is none."""

from compiler.checkpoint.downloading import download
from compiler.checkpoint.drawing import draw_weights
from compiler.checkpoint.keys import without_training
from compiler.checkpoint.matching import match
from compiler.checkpoint.reading import OFFICIAL, read_checkpoint, require_checkpoint

__all__ = [
    "OFFICIAL",
    "download",
    "draw_weights",
    "match",
    "read_checkpoint",
    "require_checkpoint",
    "without_training",
]
