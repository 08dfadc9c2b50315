"""Lite-HRNet (arXiv:2104.06403)."""

from compiler.networks.backbones.litehrnet.backbone import IterativeHead, LiteHRNet, Stem

__all__ = [
    "IterativeHead",
    "LiteHRNet",
    "Stem",
]
