"""Checkpoints: read safely, slimmed to their weights, matched to the network, or random where there is none."""

from compiler.checkpoint.downloading import download
from compiler.checkpoint.keys import without_training
from compiler.checkpoint.matching import match
from compiler.checkpoint.publishing import Published, publish
from compiler.checkpoint.random_weights import random_weights
from compiler.checkpoint.reading import OFFICIAL, read_checkpoint, require_checkpoint

__all__ = [
    "OFFICIAL",
    "Published",
    "download",
    "match",
    "publish",
    "random_weights",
    "read_checkpoint",
    "require_checkpoint",
    "without_training",
]
