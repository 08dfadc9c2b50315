"""Characters, and how CTC (connectionist temporal classification) reads them column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Dictionary:
    """The characters that a network tells apart; the class after them is CTC's blank.

    Attributes:
        characters: In the order of the network's classes.

    Raises:
        ValueError: There are none, or one stands there twice.
    """

    characters: str

    def __post_init__(self) -> None:
        if not self.characters or len(set(self.characters)) != len(self.characters):
            raise ValueError("characters must be unique, and there must be at least one")

    @property
    def blank(self) -> int:
        """The class of a column in which no character ends."""
        return len(self.characters)

    @property
    def num_classes(self) -> int:
        """Number of classes: the characters, and the blank."""
        return len(self.characters) + 1

    def read(self, columns: NDArray[np.floating[Any]]) -> tuple[str, tuple[float, ...]]:
        """Return the text in columns of probabilities, and how sure each character is, where one first occurs.

        Args:
            columns: `[t, num_classes]`.
        """
        best = columns.argmax(axis=1)
        is_new = (best != self.blank) & (best != np.concatenate([[self.blank], best[:-1]]))
        text = "".join(self.characters[index] for index in best[is_new])
        return text, tuple(columns.max(axis=1)[is_new].tolist())


def edit_distance(a: str, b: str) -> int:
    """Return how many characters must be changed, added or removed to make `b` of `a`: Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for index, character in enumerate(a, 1):
        previous, row = row, [index]
        for column, other in enumerate(b):
            row.append(min(previous[column] + (character != other), previous[column + 1] + 1, row[column] + 1))
    return row[-1]
