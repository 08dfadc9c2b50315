"""What a value counts as in a stage's key: its content, never where it lies."""

import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from compiler.stages.fingerprint import fingerprint


@dataclass(frozen=True)
class Option:
    size: int
    folder: Path = field(default=Path(), compare=False)


@dataclass(frozen=True)
class OtherOption:
    size: int


def test_plain_values_count_as_they_are():
    assert fingerprint({"b": (1, 2.5), "a": [None, True, "x"]}) == {"b": [1, 2.5], "a": [None, True, "x"]}
    assert fingerprint(frozenset({"b", "a"})) == ["a", "b"], "a set has no order"


def test_a_field_that_says_where_does_not_count():
    assert fingerprint(Option(1, Path("here"))) == fingerprint(Option(1, Path("there")))
    assert fingerprint(Option(1)) != fingerprint(Option(2))


def test_two_classes_with_the_same_fields_differ():
    assert fingerprint(Option(1)) != fingerprint(OtherOption(1))


def test_arrays_count_by_their_numbers_their_type_and_their_shape():
    array = np.arange(6, dtype=np.float32)
    assert fingerprint(array) == fingerprint(array.copy())
    assert fingerprint(array[::2]) == fingerprint(np.array([0, 2, 4], np.float32)), "a view is its numbers"
    different = [array.reshape(2, 3), array.astype(np.float64), array + 1]
    assert len({fingerprint(one) for one in (array, *different)}) == 4


def test_a_class_of_the_users_own_counts_with_its_source(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass Mine:\n    size: int = 1\n"
    (tmp_path / "mine_for_fingerprint.py").write_text(source)
    from mine_for_fingerprint import Mine

    before = fingerprint(Mine())
    (tmp_path / "mine_for_fingerprint.py").write_text(f"{source}    # changed\n")
    assert fingerprint(Mine()) != before
    del sys.modules["mine_for_fingerprint"]


def test_what_has_no_content_to_tell_is_no_field_of_a_stage():
    for value in (object(), lambda: 0, Path("x"), Option):
        with pytest.raises(TypeError, match="has no fingerprint"):
            fingerprint(value)


def test_its_bases_count_too(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    base = "class Base:\n    size = 1\n"
    (tmp_path / "base_for_fingerprint.py").write_text(base)
    (tmp_path / "child_for_fingerprint.py").write_text(
        "from dataclasses import dataclass\nfrom base_for_fingerprint import Base\n"
        "@dataclass(frozen=True)\nclass Child(Base):\n    pass\n"
    )
    from child_for_fingerprint import Child

    before = fingerprint(Child())
    (tmp_path / "base_for_fingerprint.py").write_text(base.replace("1", "2"))
    assert fingerprint(Child()) != before
    for name in ("base_for_fingerprint", "child_for_fingerprint"):
        del sys.modules[name]
