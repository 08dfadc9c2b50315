"""The classes of a model that a data set knows."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.errors import CompileError, nearest


def known_classes(model: Sequence[str], dataset: Sequence[str], partial: bool) -> tuple[str, ...]:
    """Those of a model's classes that a data set tells apart, in the model's order.

    Args:
        model: Names of what the model finds.
        dataset: Names of what is annotated; none where there is but one kind of object.
        partial: Whether some of the model's may be unknown to the data set.

    Raises:
        CompileError: One is unknown, all are, or the data set does not tell what the model tells apart.
    """
    if not dataset:
        if len(model) > 1:
            raise CompileError(
                f"the model tells {len(model)} classes apart, and the data set none",
                where="dataset",
                why="its annotations name no classes",
            )
        return tuple(model)
    known = tuple(name for name in model if name in dataset)
    unknown = [name for name in model if name not in dataset]
    if unknown and not (partial and known):
        raise CompileError(
            f"the data set does not know {_listed(unknown)}, which the model looks for",
            where="dataset",
            why=f"it knows {_listed(dataset)}",
            fix=nearest(unknown[0], dataset)
            if not known
            else "check that it is what the model was trained for; metric.partial_classes=true leaves them out",
        )
    return known


def _listed(names: Sequence[str], most: int = 5) -> str:
    """Some of the names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
