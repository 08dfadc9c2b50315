"""How much of what is written was read, as MMOCR 1.0.1's `WordMetric`, `CharMetric` and `OneMinusNEDMetric` say it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import ClassVar

from compiler.artifact.files import write_text
from compiler.datasets.dataset import Dataset, Item, TextTruth
from compiler.errors import CompileError, nearest
from compiler.metrics.metric import Metric, Predictions

TASKS = ("text-recognition",)
SYMBOLS = re.compile("[^A-Z^a-z^0-9^\u4e00-\u9fa5]")
"""What is left out where symbols do not count: all but letters, figures and Chinese characters, and but for `^`, which
stays for MMOCR too."""


@dataclass(frozen=True)
class Reading:
    """One text, and what was read of it.

    Attributes:
        truth: What is written.
        found: What was read.
    """

    truth: str
    found: str

    @property
    def letters(self) -> tuple[str, str]:
        """What is written and what was read, in small letters and without symbols."""
        return SYMBOLS.sub("", self.truth.lower()), SYMBOLS.sub("", self.found.lower())

    @property
    def distance(self) -> float:
        """The edit distance of the letters by the longer's length, from 0 to 1."""
        from rapidfuzz.distance import Levenshtein

        return Levenshtein.normalized_distance(*self.letters)

    @property
    def right_letters(self) -> int:
        """How many letters that were read are written, in the same order."""
        truth, found = self.letters
        return sum(block.size for block in SequenceMatcher(None, found, truth).get_matching_blocks())


def _is_right_without_symbols(reading: Reading) -> bool:
    truth, found = reading.letters
    return truth == found


MODES: Mapping[str, tuple[str, Callable[[Reading], bool]]] = {
    "exact": ("recog/word_acc", lambda one: one.truth == one.found),
    "ignore_case": ("recog/word_acc_ignore_case", lambda one: one.truth.lower() == one.found.lower()),
    "ignore_case_symbol": ("recog/word_acc_ignore_case_symbol", _is_right_without_symbols),
}
"""The number of each mode, and what makes a word right."""


@dataclass(frozen=True)
class WordAccuracy(Metric):
    """MMOCR's `WordMetric`: the share of the words that are right.

    Attributes:
        mode: What is measured beside `ignore_case_symbol`, which stands for all: `exact`, `ignore_case`.

    Raises:
        ValueError: There is no such mode.
    """

    TASKS: ClassVar[tuple[str, ...]] = TASKS
    HEADLINE: ClassVar[str] = "recog/word_acc_ignore_case_symbol"

    mode: tuple[str, ...] = tuple(MODES)

    def __post_init__(self) -> None:
        for mode in self.mode:
            if mode not in MODES:
                raise ValueError(f"there is no mode '{mode}': {nearest(mode, MODES)}")

    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """A share from 0 to 1 for each mode."""
        readings = list(_readings(predictions, dataset))
        chosen = [MODES[mode] for mode in MODES if mode in (*self.mode, "ignore_case_symbol")]
        return {name: _share(sum(map(is_right, readings)), len(readings)) for name, is_right in chosen}

    def write(self, predictions: Predictions, dataset: Dataset, folder: Path) -> tuple[Path, ...]:
        """ICDAR's list of words: a line `<image>, "<text>"` for each text, in the order of the data set."""
        path = folder / "words.txt"
        pairs = zip(dataset.items, predictions, strict=True)
        write_text(path, "".join(_line(item, one.text) for item, found in pairs for one in found))
        return (path,)


@dataclass(frozen=True)
class NormalizedEditDistance(Metric):
    """MMOCR's `OneMinusNEDMetric`: one minus the mean edit distance by length, of letters without symbols."""

    TASKS: ClassVar[tuple[str, ...]] = TASKS
    HEADLINE: ClassVar[str] = "recog/1-N.E.D"

    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """A share from 0 to 1."""
        readings = list(_readings(predictions, dataset))
        return {self.HEADLINE: _share(sum(1 - one.distance for one in readings), len(readings))}


@dataclass(frozen=True)
class CharacterAccuracy(Metric):
    """MMOCR's `CharMetric`: the shares of the letters that are written, and of those that were read, that are right."""

    TASKS: ClassVar[tuple[str, ...]] = TASKS
    HEADLINE: ClassVar[str] = "recog/char_recall"

    def score(self, predictions: Predictions, dataset: Dataset) -> Mapping[str, float]:
        """Recall and precision, from 0 to 1."""
        readings = list(_readings(predictions, dataset))
        right = sum(one.right_letters for one in readings)
        written, read = (sum(len(one.letters[side]) for one in readings) for side in (0, 1))
        return {"recog/char_recall": _share(right, written), "recog/char_precision": _share(right, read)}


def _readings(predictions: Predictions, dataset: Dataset) -> Iterator[Reading]:
    """What was read of each text that is told and not ignored."""
    for item, found in zip(dataset.items, predictions, strict=True):
        truth = _truth(item)
        if item.boxes is None and not truth:  # the whole image was read, and nobody knows what is written there
            continue
        if len(truth) != len(found):
            raise CompileError(
                f"{len(found)} texts were read where {len(truth)} are written",
                where=str(item.path),
                fix="evaluate a bundle of text recognition on words, or on words with polygons",
            )
        for one, text in zip(truth, found, strict=True):
            if one.text is not None:
                yield Reading(one.text, text.text)


def _truth(item: Item) -> list[TextTruth]:
    """The texts of an image that are read, one for each of its boxes or one for the whole image."""
    looked_at = item.truth if item.boxes is None else item.boxed
    return [one for one in looked_at if isinstance(one, TextTruth) and not one.ignore]


def _share(part: float, whole: int) -> float:
    return part / whole if whole else math.nan


def _line(item: Item, text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{item.path.name}, "{escaped}"\n'
