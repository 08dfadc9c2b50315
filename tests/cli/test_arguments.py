"""The parser of a verb: what it takes, and what it refuses."""

from __future__ import annotations

from argparse import Namespace

import pytest

from compiler.cli.arguments import Parser, one_of
from compiler.errors import UsageError


@pytest.fixture
def parser():
    parser = Parser("draw", "<image> [colour=<name>]", "one image", "draw it", ("draw a.jpg",))
    parser.add_argument("image")
    parser.add_argument("--size", "-s", type=one_of("--size", ("small", "large")))
    parser.add_option("colour", "color", spelling="colour=<name>", text="of the lines")
    return parser


@pytest.mark.parametrize(
    "words",
    [
        ["a.jpg", "--size", "small", "colour=red"],
        ["colour=red", "--size=small", "a.jpg"],
        ["-s", "small", "colour=red", "a.jpg"],
    ],
)
def test_the_order_of_arguments_is_free(parser, words):
    assert parser.parsed(words) == Namespace(help=False, image="a.jpg", size="small", options={"colour": "red"})


@pytest.mark.parametrize("value", ["a=b", "1,2", "a b", "line\nline", "-1"])
def test_the_value_of_an_option_is_taken_as_it_is(parser, value):
    assert parser.parsed(["a.jpg", f"color={value}"]).options == {"color": value}


def test_a_path_may_hold_an_equals_sign(parser):
    assert parser.parsed(["./a=b.jpg"]).image == "./a=b.jpg"


@pytest.mark.parametrize(
    ("words", "where", "said"),
    [
        (["a.jpg", "colur=red"], "colur=red", "did you mean colour or color?"),
        (["a.jpg", "bogus=1"], "bogus=1", "choose one of: color, colour"),
        (["a.jpg", "colour="], "colour=", "has no value"),
        (["a.jpg", "--sise", "small"], "--sise", "did you mean --size?"),
        (["a.jpg", "--siz", "small"], "--siz", "did you mean --size?"),
        (["a.jpg", "--size", "smal"], "--size smal", "did you mean small?"),
        (["a.jpg", "--size"], "command line", "expected one argument"),
        (["a.jpg", "colour"], "colour", "did you mean colour"),
        ([], "command line", "the following arguments are required: image"),
    ],
)
def test_what_is_unknown_or_missing_is_refused_with_its_place(parser, capsys, words, where, said):
    with pytest.raises(UsageError) as caught:
        parser.parsed(words)
    assert caught.value.where == where
    assert said in str(caught.value)
    assert capsys.readouterr() == ("", "")


def test_without_options_a_word_with_an_equals_sign_is_a_place():
    parser = Parser("show", "<key>", "one key", "show it", ())
    parser.add_argument("key")
    assert parser.parsed(["a=b"]).key == "a=b"


def test_its_help_shows_an_option_as_it_is_typed(parser):
    page = parser.format_help()
    assert page.startswith("usage: python -m compiler draw <image> [colour=<name>]\n")
    assert "  colour=<name>\n      of the lines\n" in page
    assert page.rstrip().endswith("examples:\n  python -m compiler draw a.jpg")


def test_a_zero_byte_is_in_no_argument(parser):
    with pytest.raises(UsageError, match="an argument holds a zero byte") as caught:
        parser.parsed(["a\0.jpg"])
    assert str(caught.value).splitlines()[1] == r"  where: a\x00.jpg"
