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
        """The text in columns of probabilities, and how sure each character is, where one first occurs.

        Args:
            columns: `[t, num_classes]`.
        """
        best = columns.argmax(axis=1)
        is_new = (best != self.blank) & (best != np.concatenate([[self.blank], best[:-1]]))
        text = "".join(self.characters[index] for index in best[is_new])
        return text, tuple(columns.max(axis=1)[is_new].tolist())
