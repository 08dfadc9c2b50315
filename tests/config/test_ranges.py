"""A number has a range, written beside its default, and is held to it wherever a config builds what has it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from compiler.config import compose
from compiler.config.counts import LARGEST_COUNT, check_counts
from compiler.config.instantiate import instantiate
from compiler.config.limits import Limits
from compiler.config.ranges import between
from compiler.errors import UsageError


@dataclass(frozen=True)
class Settings:
    count: int = between(1, 4096, default=7)
    share: float | None = between(0, 1, default=None)


@pytest.mark.parametrize(
    ("key", "value"), [("count", 1), ("count", 4096), ("share", 0.0), ("share", 1), ("share", None)]
)
def test_both_ends_of_a_range_are_in_it(key, value):
    assert getattr(instantiate({key: value}, Settings), key) == value
    assert instantiate({}, Settings) == Settings(7, None)


@pytest.mark.parametrize(("key", "value"), [("count", 0), ("count", 4097), ("share", 1.001), ("share", -0.001)])
def test_what_is_out_of_range_is_refused_with_its_key(key, value):
    with pytest.raises(UsageError, match=f"'group.{key}' must be from") as caught:
        instantiate({key: value}, Settings, "group")
    assert caught.value.where == f"group.{key}"
    assert str(value) in caught.value.why.replace(",", "")


@pytest.mark.parametrize(
    ("override", "where"),
    [
        ("batch.largest=1000000000", "batch.largest"),
        ("calibration.limit=0", "calibration.limit"),
        ("backend.threads=100000", "backend.threads"),
        ("backend.threads=0", "backend.threads"),
        ("limits.megapixels=0", "limits.megapixels"),
        ("verify.reduced_typical=-3", "verify.reduced_typical"),
        ("verify.reduced_cosine=1.01", "verify.reduced_cosine"),
        ("limits.memory=-1", "limits.memory"),
        ("limits.seconds=1e300", "limits.seconds"),
    ],
)
def test_a_config_is_held_to_its_ranges(override, where):
    from compiler.backends import build_backend

    with pytest.raises(UsageError, match="must be from") as caught:
        build_backend(compose([override]).backend)
    assert caught.value.where == where


def test_an_input_larger_than_any_image_may_be_is_refused():
    with pytest.raises(UsageError, match="larger than any image") as caught:
        compose(["model=rtmdet-tiny", "shape=dynamic_320x320-32000x32000"])
    assert "raise limits.megapixels" in caught.value.fix
    config = compose(["model=rtmdet-tiny", "shape=dynamic_320x320-32000x32000", "limits.megapixels=1024"])
    assert config.limits == Limits(megapixels=1024)


def test_numbers_that_nothing_can_be_counted_by_are_refused_where_they_stand():
    check_counts({"a": [{"depth": LARGEST_COUNT}], "scale": 1e30, "deploy": True, "name": "x"}, "network")
    for number in (LARGEST_COUNT + 1, -LARGEST_COUNT - 1):
        with pytest.raises(UsageError) as caught:
            check_counts({"a": [{"depth": number}]}, "network")
        assert caught.value.where == "network.a[0].depth"
