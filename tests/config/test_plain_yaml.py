"""YAML that is data alone."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compiler.config.plain_yaml import dump_yaml, load_checked_yaml, load_yaml
from compiler.printable import printable

texts = st.text(st.characters()) | st.text(st.sampled_from("\\${}?:.'\"-#&*!|> 0123456789eE+\n\t\x85\u2028\ufeff"))
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)


@given(values)
def test_any_value_is_read_as_it_was_written(value):
    text = dump_yaml({"value": value})
    assert load_yaml(text) == {"value": value}
    assert repr(load_checked_yaml(text)) == repr(load_yaml(text))


@given(texts)
def test_whoever_looks_into_the_file_sees_all_of_it(text):
    assert printable(dump_yaml([text])) == dump_yaml([text])


@pytest.mark.parametrize("text", ["${oc.env:SECRET}", "???", "1e-4", "1E5", "yes", "2001-01-01", "~", "<<", "="])
def test_a_text_that_looks_like_something_else_is_a_text(text):
    assert load_yaml(dump_yaml({"names": (text,)})) == {"names": [text]}


@pytest.mark.parametrize(("written", "number"), [("1e-4", 1e-4), ("1E5", 1e5), ("-.5e3", -500.0), ("1.0e-05", 1e-5)])
def test_a_number_that_somebody_wrote_by_hand_is_one(written, number):
    assert load_yaml(f"a: {written}") == {"a": number}


def test_people_can_read_it():
    assert dump_yaml({"b": ["人", "1"], "a": (1, 2)}) == "b:\n- 人\n- '1'\na:\n- 1\n- 2\n"


def test_nothing_refers_to_anything():
    shared = ["x"]
    assert dump_yaml({"a": shared, "b": shared}) == "a:\n- x\nb:\n- x\n"


@pytest.mark.parametrize("text", ["a: 1\na: 2", "a: !!python/object/apply:os.getcwd []", "a: [1"])
def test_what_is_ambiguous_or_would_run_is_refused(text):
    for load in (load_yaml, load_checked_yaml):
        with pytest.raises(yaml.YAMLError):
            load(text)


def test_what_libyaml_refuses_is_read_all_the_same():
    assert load_checked_yaml("a: [0:]") == load_yaml("a: [0:]") == {"a": [{0: None}]}


def test_a_digest_that_begins_as_a_number_is_a_text():
    digests = {"whole": "78e30", "begun": "78e30dcc", "number": 1e-4}
    assert load_yaml(dump_yaml(digests)) == digests
    assert load_yaml("sha256: 78e30dcc") == {"sha256": "78e30dcc"}


LONG = ["1" * 401, "1:" * 200 + "1", f"!!float {'1' * 401}", f"!!int {'1:' * 200}1", "{<<: {<<: {}, <<: {}}}"]


@pytest.mark.parametrize("text", LONG)
def test_what_takes_long_to_read_is_refused(text):
    for load in (load_yaml, load_checked_yaml):
        with pytest.raises(yaml.YAMLError):
            load(f"a: {text}")


def test_long_texts_and_many_keys_take_no_more_time_than_their_length():
    """Each took minutes where it took the square of it."""
    digits = "1" * 200_000 + "x"
    assert load_yaml(f"a: {digits}") == {"a": digits}
    keys = {f"k{number}": 1 for number in range(20_000)}
    assert load_yaml("{" + ",".join(f"{key}: 1" for key in keys) + "}") == keys
    assert load_yaml(f"a: {'1' * 400}\nb: 1:30\nc: {{<<: {{x: 1}}, y: 2}}") == {
        "a": int("1" * 400),
        "b": 90,
        "c": {"x": 1, "y": 2},
    }
