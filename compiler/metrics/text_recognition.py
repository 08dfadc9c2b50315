"""How much of what is written was read, as MMOCR 1.0.1's `WordMetric`, `CharMetric` and `OneMinusNEDMetric` say it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

SYMBOLS = re.compile("[^A-Z^a-z^0-9^\u4e00-\u9fa5]")
"""What is left out of texts whose symbols do not count; of the marks, `^` stays, as it does for MMOCR."""


@dataclass(frozen=True)
class Reading:
    """One text and what was read of it.

    Attributes:
        truth: What is written.
        found: What was read.
    """

    truth: str
    found: str

    @property
    def is_exact(self) -> bool:
        """Whether every character is right."""
        return self.truth == self.found

    @property
    def is_right_but_case(self) -> bool:
        """Whether every character is right, large or small."""
        return self.truth.lower() == self.found.lower()

    @property
    def is_right_but_case_and_symbols(self) -> bool:
        """Whether every letter, large or small, and every figure is right."""
        truth, found = self.letters
        return truth == found

    @property
    def letters(self) -> tuple[str, str]:
        """The truth and what was read in small letters and without symbols."""
        return SYMBOLS.sub("", self.truth.lower()), SYMBOLS.sub("", self.found.lower())

    @property
    def distance(self) -> float:
        """The edit distance of the letters by the longer's length, from 0 to 1."""
        from rapidfuzz.distance import Levenshtein

        return Levenshtein.normalized_distance(*self.letters)

    @property
    def right_characters(self) -> int:
        """How many letters that were read are written, in the same order."""
        truth, found = self.letters
        blocks = SequenceMatcher(None, found, truth).get_matching_blocks()
        return sum(block.size for block in blocks)


def text_rates(readings: Sequence[Reading]) -> dict[str, float]:
    """Shares from 0 to 1, by MMOCR's names; all 0 where there is nothing to read.

    `word_acc` of words that are right, `word_acc_ignore_case` and `word_acc_ignore_case_symbol` likewise, `1-N.E.D` one
    minus the mean of the normalised edit distances, and `char_recall` and `char_precision` of the characters written
    and read that are right.
    """
    right = sum(one.right_characters for one in readings)
    letters = [one.letters for one in readings]
    return {
        "word_acc": _share(sum(one.is_exact for one in readings), len(readings)),
        "word_acc_ignore_case": _share(sum(one.is_right_but_case for one in readings), len(readings)),
        "word_acc_ignore_case_symbol": _share(
            sum(one.is_right_but_case_and_symbols for one in readings), len(readings)
        ),
        "1-N.E.D": _share(sum(1 - one.distance for one in readings), len(readings)),
        "char_recall": _share(right, sum(len(truth) for truth, _ in letters)),
        "char_precision": _share(right, sum(len(found) for _, found in letters)),
    }


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
