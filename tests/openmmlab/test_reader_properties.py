"""What holds for every config: the reader gives what Python gives, and merging has the laws of layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.errors import CompileError
from compiler.openmmlab.reader import read_config
from compiler.openmmlab.reader.values import DELETE, merge

NAMES = st.sampled_from(["depth", "width", "neck", "type", "norm"])
NUMBERS = st.integers(-9, 9).map(str) | st.sampled_from(["0.5", "1e-3", "-2.0", "True", "None"])
TEXTS = st.text("ab{} '\\é", max_size=4).map(repr)


def compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    many = st.lists(inner, max_size=3)
    return st.one_of(
        many.map(lambda items: f"[{', '.join(items)}]"),
        many.map(lambda items: f"({''.join(f'{item}, ' for item in items)})"),
        st.dictionaries(NAMES, inner, max_size=3).map(
            lambda items: f"dict({', '.join(f'{name}={item}' for name, item in items.items())})"
        ),
        st.dictionaries(NAMES.map(repr) | NUMBERS, inner, max_size=3).map(
            lambda items: f"{{{', '.join(f'{key}: {item}' for key, item in items.items())}}}"
        ),
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "/", "%", "**", "|"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(inner, st.sampled_from(["==", "!=", "<", ">=", "in", "not in", "and", "or"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}:]"),
        st.tuples(st.sampled_from(["-", "not ", "+"]), inner).map(lambda parts: f"({parts[0]}{parts[1]})"),
        st.tuples(st.sampled_from(["len", "str", "list", "tuple", "sum", "max", "sorted"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
        st.tuples(inner, inner).map(lambda parts: f"[x for x in {parts[0]} if {parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, *{parts[1]}]"),
        st.tuples(inner, inner).map(lambda parts: f"dict({parts[0]}, **{parts[1]})"),
    )


EARLIER = st.sampled_from(["a", "b"])
EXPRESSIONS = st.recursive(NUMBERS | TEXTS | EARLIER, compound, max_leaves=8)
STATEMENTS = st.one_of(
    st.tuples(EARLIER, EXPRESSIONS).map(lambda parts: f"{parts[0]} = {parts[1]}"),
    st.tuples(EARLIER, EXPRESSIONS).map(lambda parts: f"{parts[0]} += {parts[1]}"),
    st.tuples(EARLIER, EXPRESSIONS, EXPRESSIONS).map(lambda parts: f"{parts[0]}[{parts[1]}] = {parts[2]}"),
    st.tuples(EARLIER, EXPRESSIONS).map(lambda parts: f"{parts[0]}.append({parts[1]})"),
    st.tuples(EARLIER, EXPRESSIONS).map(lambda parts: f"{parts[0]}.update({parts[1]})"),
    st.tuples(EARLIER, EXPRESSIONS).map(lambda parts: f"for i in {parts[1]}:\n    {parts[0]} = [i]"),
)


def read_or_reason(folder: Path, source: str) -> dict[str, Any] | str:
    try:
        return read(folder, source)
    except CompileError as error:
        return error.why


# What Python has a value for and no config: complex and huge numbers, text formatted by %, a list in itself.
NOT_READ = ("complex", "bits", "with %", "holds itself")


def as_python(source: str) -> dict[str, Any] | None:
    """Return what Python makes of a source that the test itself generated, or None if it fails."""
    names: dict[str, Any] = {}
    try:
        exec(source, names)
    except Exception:
        return None
    return {name: value for name, value in names.items() if name != "__builtins__"}


def read(folder: Path, source: str) -> dict[str, Any]:
    path = folder / "config.py"
    path.write_text(source)
    return read_config(path)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@given(first=EXPRESSIONS, statements=st.lists(STATEMENTS, max_size=4))
@settings(max_examples=400, deadline=None)
def test_a_config_holds_what_python_makes_of_it(tmp_path_factory, first, statements):
    source = "\n".join(["a = dict(depth=[1, 2])", "b = [3]", f"b = {first}", *statements])
    expected = as_python(source)
    found = read_or_reason(tmp_path_factory.getbasetemp(), source)
    if isinstance(found, str):
        assert expected is None or any(reason in found for reason in NOT_READ)
    else:
        assert repr(found) == repr(expected)


# Each name always holds the same kind of value, as in the configs of one model.
VALUES = st.integers() | st.lists(st.integers(), max_size=2) | st.text(max_size=2)
CONFIGS = st.recursive(
    st.dictionaries(st.sampled_from(["x", "y"]), VALUES),
    lambda inner: st.builds(dict.__or__, st.dictionaries(st.sampled_from(["p", "q"]), inner), inner),
    max_leaves=6,
)


@given(CONFIGS)
def test_nothing_over_a_config_and_a_config_over_nothing_or_itself_are_that_config(config):
    assert merge({}, config) == merge(config, {}) == merge(config, config) == config


@given(CONFIGS, CONFIGS, CONFIGS)
def test_layers_may_be_merged_in_any_grouping(top, middle, bottom):
    assert merge(top, merge(middle, bottom)) == merge(merge(top, middle), bottom)


@given(CONFIGS, CONFIGS)
def test_the_child_wins_and_nothing_is_lost(child, base):
    merged = merge(child, base)
    assert merged.keys() == child.keys() | base.keys()
    assert merge(child, merged) == merged


@given(CONFIGS, CONFIGS)
def test_delete_forgets_the_base(child, base):
    assert merge({"p": {**child, DELETE: True}}, {"p": base}) == {"p": child}


@given(child=CONFIGS, base=CONFIGS)
@settings(max_examples=50, deadline=None)
def test_files_merge_as_their_values_do(tmp_path_factory, child, base):
    folder = tmp_path_factory.getbasetemp()
    (folder / "base.py").write_text("\n".join(f"{name} = {value!r}" for name, value in base.items()))
    source = "\n".join(["_base_ = 'base.py'", *(f"{name} = {value!r}" for name, value in child.items())])
    assert read(folder, source) == merge(child, base)
