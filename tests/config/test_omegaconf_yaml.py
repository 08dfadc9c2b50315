"""YAML is read as OmegaConf reads it, whichever parser is there."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf._utils import get_yaml_loader

from compiler.config.c_parser import over_c_parser
from compiler.config.omegaconf_yaml import load_omegaconf_yaml
from compiler.config.plain_yaml import dump_yaml
from compiler.config.search import config_folder

FILES = sorted(config_folder().rglob("*.yaml"))

WORDS = st.sampled_from(
    """yes no on off true False null ~ 1e-4 1e5 1. .5 0.1_0 1_000 0o17 017 0x1f 1:30 190:20:30.15 .inf -.INF .nan + - .
    2026-11-28 = << ??? ${a.b} http://a.b/c#d 1.2.3 'ab' "\\u00e9" !!str [] {} a#b 12e03 -0 +1 0b11 _1 é""".split()  # noqa: SIM905
)
NUMBERS = st.text("0123456789.eE+-_:", min_size=1, max_size=8).filter(lambda text: text.strip("-:.") != "")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | WORDS | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6) | WORDS, inner, max_size=4),
    max_leaves=12,
)


def outcome(load, text):
    """What a text stands for, with the types of its values; or that it stands for nothing."""
    try:
        return repr(load(text))
    except (yaml.YAMLError, ValueError):
        return "refused"


def by_omegaconf(text):
    return yaml.load(text, Loader=get_yaml_loader())


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="one parser is there")
def test_the_parser_in_c_is_taken_where_it_is_there():
    assert issubclass(over_c_parser(yaml.SafeLoader), yaml.cyaml.CParser)


def test_our_files_are_what_omegaconf_reads_in_them():
    assert len(FILES) > 100
    for file in FILES:
        text = file.read_text("utf-8")
        assert outcome(load_omegaconf_yaml, text) == outcome(by_omegaconf, text) != "refused", file


@settings(max_examples=50)
@given(VALUES)
def test_what_we_write_into_a_translated_model_is_read_alike(value):
    text = dump_yaml({"key": value})
    assert outcome(load_omegaconf_yaml, text) == outcome(by_omegaconf, text)


@given(WORDS | NUMBERS, WORDS | NUMBERS)
def test_words_and_numbers_are_read_alike_however_they_look(key, value):
    """What libyaml refuses, and YAML's own parser does not, Hydra composes itself."""
    text = f"# a line before\n{key}: {value}  # and one beside\nlist: [{value}, {key}]\n"
    assert outcome(load_omegaconf_yaml, text) in ("refused", outcome(by_omegaconf, text))


def test_where_libyaml_is_not_there_the_loader_stays_itself(monkeypatch):
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    assert over_c_parser(yaml.SafeLoader) is yaml.SafeLoader


def test_a_key_that_stands_there_twice_is_refused():
    with pytest.raises(yaml.YAMLError, match="found duplicate key a"):
        load_omegaconf_yaml("a: 1\nb: 2\na: 3\n")
