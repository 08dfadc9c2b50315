"""What the SDK does to whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compiler.config.sizes import SizeRange


def scale(own: tuple[int, int], sizes: SizeRange | None) -> list[int]:
    """What the longer and the shorter side of an image may become, so that it fits into what the engine takes.

    The SDK takes the sides in any order, as MMDetection does: where the engine takes one size, which is no square, it
    cannot lay out an image that is high where the engine is wide.
    """
    long, short = max(own), min(own)
    return [min(long, max(sizes.largest)), min(short, *sizes.largest)] if sizes else [long, short]


def normalisation(mean: tuple[float, ...], std: tuple[float, ...], to_rgb: bool) -> dict[str, object]:
    """The step that normalises an image."""
    return {"type": "Normalize", "to_rgb": to_rgb, "mean": list(mean), "std": list(std)}
