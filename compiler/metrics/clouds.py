"""What metrics of point clouds need of a data set."""

from __future__ import annotations

from typing import TypeVar

from compiler.datasets.dataset import CameraFrame, Item, SolidTruth, WorldFrame
from compiler.errors import CompileError

Frame = TypeVar("Frame", CameraFrame, WorldFrame)


def solids_of(item: Item) -> list[SolidTruth]:
    """The objects in an item's point cloud."""
    return [one for one in item.truth if isinstance(one, SolidTruth)]


def require_frame(item: Item, kind: type[Frame], device: str, why: str, fix: str) -> Frame:
    """The frame in which an item's objects are measured.

    Args:
        item: A point cloud and what is true of it.
        kind: The frame that the metric needs.
        device: Whose place it tells, for the message.
        why: The metric needs it.
        fix: What can be done about it.

    Raises:
        CompileError: The data set does not say it.
    """
    if not isinstance(item.frame, kind):
        raise CompileError(f"the data set does not say where its {device} is", where=str(item.path), why=why, fix=fix)
    return item.frame
