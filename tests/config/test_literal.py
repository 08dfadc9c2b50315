"""Text from data in a config that is composed: it means itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from compiler.config.literal import Reference, literal

suspicious = st.text(st.sampled_from("\\${}?:.'\" abc\n"))
texts = st.text() | suspicious
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc", min_size=1), inner),
    max_leaves=8,
)


def resolved(value):
    return OmegaConf.to_container(OmegaConf.create({"value": value}), resolve=True, throw_on_missing=True)["value"]


@pytest.mark.parametrize(
    "text",
    ["${oc.env:SECRET}", "\\${oc.env:SECRET}", "\\\\${a}", "${", "$", "{}", "???", "a ???", "\\???", "${${}}", "C:\\x"],
)
def test_what_looks_like_a_resolver_is_the_text_that_it_is(monkeypatch, text):
    monkeypatch.setenv("SECRET", "do not tell")
    assert resolved(literal(text)) == text


def test_without_it_the_secret_would_be_told(monkeypatch):
    monkeypatch.setenv("SECRET", "do not tell")
    assert resolved("${oc.env:SECRET}") == "do not tell"
    with pytest.raises(OmegaConfBaseException):
        resolved("???")


def test_a_reference_of_ours_is_left_to_be_resolved():
    node = OmegaConf.create({"tail": "host", "kind": literal(Reference("${tail}")), "name": literal("${tail}")})
    assert OmegaConf.to_container(node, resolve=True) == {"tail": "host", "kind": "host", "name": "${tail}"}


@given(values)
def test_any_value_is_composed_as_it_is(value):
    assert resolved(literal(value)) == value
