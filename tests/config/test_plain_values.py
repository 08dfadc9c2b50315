"""Plain values are merged, set and resolved as OmegaConf does it; what is not simple is refused."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from compiler.config.plain_values import NotPlainError, merged, resolved, resolved_group, with_setting

KEYS = st.sampled_from("abc")
REFERENCES = st.sampled_from(["${a}", "${b.c}", "${.a}", "${..b}", "${...c.a}", "x${a}", "\\${a}", "${oc.env:A}"])
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([1.5, "text", "1", "", "???"]) | REFERENCES
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
GROUPS = st.dictionaries(KEYS, TREES, max_size=3)


def written(node):
    return repr(OmegaConf.to_container(node))


@given(GROUPS, GROUPS)
def test_one_over_another_is_what_omegaconf_merges(below, above):
    before = copy.deepcopy((below, above))
    try:
        ours = merged(below, above)
    except NotPlainError:
        return
    assert repr(ours) == written(OmegaConf.merge(below, above))
    assert (below, above) == before


@given(GROUPS)
def test_a_reference_is_what_omegaconf_resolves_it_to(tree):
    try:
        ours = resolved(tree)
    except (NotPlainError, RecursionError):
        return
    assert repr(ours) == repr(OmegaConf.to_container(OmegaConf.create(tree), resolve=True, throw_on_missing=True))


@given(GROUPS, st.lists(KEYS, min_size=1, max_size=3).map(".".join), SCALARS | st.lists(SCALARS, max_size=2))
def test_a_setting_is_what_omegaconf_sets(tree, key, value):
    before = copy.deepcopy(tree)
    try:
        ours = with_setting(tree, key, value)
    except NotPlainError:
        return
    node = OmegaConf.create(tree)
    OmegaConf.set_struct(node, True)
    OmegaConf.update(node, key, value, merge=True)
    assert repr(ours) == written(node)
    assert tree == before


def test_references_are_followed_from_where_they_stand():
    tree = {"a": {"b": "${.c}", "c": "${..d.e}"}, "d": {"e": ["${a.f}", "${...g}"]}, "g": 7}
    with pytest.raises(NotPlainError, match="no key f"):
        resolved(tree)
    tree["a"]["f"] = {"x": 1}
    assert resolved(tree)["a"] == {"b": [{"x": 1}, 7], "c": [{"x": 1}, 7], "f": {"x": 1}}
    assert resolved_group(tree, "d") == {"e": [{"x": 1}, 7]}


@pytest.mark.parametrize(
    "tree",
    [
        {"a": "???"},
        {"a": "${b}"},
        {"a": "${.}"},
        {"a": "${..b}", "b": 1},
        {"a": "x${b}", "b": 1},
        {"a": "\\${b}", "b": 1},
        {"a": "${oc.env:HOME}"},
        {"a": "${b.0}", "b": [1]},
        {"a": "${b.c}", "b": "${d}", "d": {"c": 1}},
        {"a": b"bytes"},
        {1.5: 1},
    ],
)
def test_what_is_not_simple_is_left_to_omegaconf(tree):
    with pytest.raises(NotPlainError):
        resolved(tree)


def test_a_ring_of_references_ends():
    with pytest.raises(RecursionError):
        resolved({"a": "${b}", "b": "${a}"})


def test_a_new_key_is_set_only_where_it_is_asked_for():
    assert with_setting({"a": {"b": 1}}, "a.c", 2, new=True) == {"a": {"b": 1, "c": 2}}
    for key, new in (("a.c", False), ("d.c", True), ("a.b.c", True), ("a", True)):
        with pytest.raises(NotPlainError):
            with_setting({"a": {"b": 1}}, key, 2, new=new)
