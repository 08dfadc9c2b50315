"""Config nodes become dataclasses: what a field's type lets through, and what it refuses.

The refusals of a real config, a task's, are in tests/tasks/test_build_task.py.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.config.instantiate import instantiate
from compiler.errors import UsageError


@dataclass(frozen=True)
class Leg:
    length: float
    shoes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Animal:
    name: str


@dataclass(frozen=True)
class Horse(Animal):
    legs: tuple[Leg, ...] = ()
    rider: str | None = None
    age: Optional[int] = None  # noqa: UP045
    favourite: Leg | None = None
    marks: dict[str, float] = field(default_factory=dict)
    legs_by_name: dict[str, Leg] = field(default_factory=dict)
    notes: Any = None
    sound: str = field(default="neigh", init=False)

    def __post_init__(self):
        if self.age is not None and self.age < 0:
            raise ValueError(f"age is {self.age}")


HORSE = f"{__name__}.Horse"


def horse(**values):
    return instantiate({"_target_": HORSE, "name": "Fury", **values}, Animal, "stable")


def test_the_target_decides_which_kind_is_built():
    assert horse() == Horse("Fury")
    assert instantiate({"name": "Fury"}, Animal) == Animal("Fury")


@pytest.mark.parametrize(
    ("key", "given_value", "built"),
    [
        ("rider", None, None),
        ("rider", "Joe", "Joe"),
        ("age", None, None),
        ("age", 7, 7),
        ("favourite", None, None),
        ("favourite", {"length": 1}, Leg(1.0)),
        ("legs", [], ()),
        ("legs", [{"length": 1.5, "shoes": ["iron"]}, {"length": 2}], (Leg(1.5, ("iron",)), Leg(2.0))),
        ("marks", {}, {}),
        ("marks", {"jump": 1, 2: 0.5}, {"jump": 1.0, "2": 0.5}),
        ("legs_by_name", {"left": {"length": 3}}, {"left": Leg(3.0)}),
        ("notes", {"_target_": "os.system", "free": [1, None]}, {"_target_": "os.system", "free": [1, None]}),
    ],
)
def test_a_value_becomes_what_its_field_is(key, given_value, built):
    assert getattr(horse(**{key: given_value}), key) == built


@pytest.mark.parametrize(
    ("key", "value", "where", "said"),
    [
        ("rider", 3, "stable.rider", "must be a text"),
        ("age", "7", "stable.age", "must be a whole number"),
        ("age", -1, "stable", "age is -1"),
        ("favourite", {"lenght": 1}, "stable.favourite.lenght", "did you mean length"),
        ("favourite", {}, "stable.favourite.length", "Leg has no default for it"),
        ("legs", [{"length": 1}, {"length": "long"}], "stable.legs[1].length", "must be a number"),
        ("legs", {"length": 1}, "stable.legs", "must be a list"),
        ("legs", None, "stable.legs", "must be a list"),
        ("marks", ["jump"], "stable.marks", "must be a group of keys"),
        ("marks", {"jump": "high"}, "stable.marks.jump", "must be a number"),
        ("marks", {"jump": float("inf")}, "stable.marks.jump", "must be finite"),
        ("legs_by_name", {"left": {"length": 1, "shoes": "iron"}}, "stable.legs_by_name.left.shoes", "[a,b,c]"),
        ("sound", "moo", "stable.sound", "there is no key"),
    ],
)
def test_a_wrong_value_is_named_however_deep_it_is(key, value, where, said):
    with pytest.raises(UsageError) as caught:
        horse(**{key: value})
    assert caught.value.where == where
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (f"{__name__}.Hors", "did you mean Horse"),
        (f"{__name__}.Leg", "is not a Animal"),
        ("os.system", "is not a Animal"),
        ("Horse", "cannot be imported"),
        ("", "cannot be imported"),
        (".Horse", "cannot be imported"),
        ("..stable.Horse", "cannot be imported"),
        ("nowhere.Horse", "cannot be imported"),
    ],
)
def test_only_a_dataclass_of_the_right_kind_is_built(target, said):
    with pytest.raises(UsageError, match=said) as caught:
        instantiate({"_target_": target, "name": "Fury"}, Animal, "stable")
    assert caught.value.where == "stable._target_"


def test_the_root_has_no_path():
    with pytest.raises(UsageError) as caught:
        instantiate({"nam": "Fury"}, Animal)
    assert caught.value.where == "nam"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Horse.__dataclass_fields__]), anything))
def test_any_node_is_built_or_refused_with_its_path(values):
    try:
        built = instantiate(values, Horse, "stable")
    except UsageError as error:
        assert error.where.startswith("stable")  # noqa: PT017
    else:
        assert isinstance(built, Horse)
