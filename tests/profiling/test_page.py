"""The page of a profile: it stands alone, holds what was measured, and draws it where it belongs."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.config.sizes import InputSize
from compiler.profiling import LayerTime, Timing
from compiler.profiling.page import page
from compiler.profiling.plots import HEIGHT, MOST_POINTS, WIDTH, ratios_plot, runs_plot, shares_plot, ticks
from compiler.profiling.results import Comparison
from tests.profiling.test_results import a_bundle, a_profile

FAST = Timing(InputSize(1, (32, 32)), 0.5, ((0.001, 0.003), (0.002, 0.004)))


class Tags(HTMLParser):
    """The tags of a page, and the addresses that they name."""

    def __init__(self, text):
        super().__init__()
        self.names, self.addresses = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.addresses.extend(value for name, value in attrs if name in ("src", "href", "action"))


def coordinates(points):
    return [tuple(map(float, point.split(","))) for point in points.split()]


def test_the_page_runs_nothing_and_loads_nothing():
    tags = Tags(page(a_profile(a_bundle("fp32"), a_bundle("int8"))))
    assert not {"script", "iframe", "object", "link", "img"} & set(tags.names)
    assert tags.addresses == []


def test_every_drawing_is_well_formed_and_has_a_line_for_each_bundle():
    text = page(a_profile(a_bundle("fp32"), a_bundle("int8"), a_bundle("bf16")))
    drawings = [ElementTree.fromstring(one) for one in re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)]
    assert [len(one.findall(".//polyline")) for one in drawings] == [3, 3, 2]  # every run, shares, ratios to the first
    assert {one.find("title").text for one in drawings[0].findall(".//polyline")} == {"fp32", "int8", "bf16"}


def test_the_page_has_what_the_samples_come_to():
    text = page(a_profile(a_bundle("fp32"), a_bundle("int8", ((0.05, 0.05), (0.05, 0.15)))))
    for figure in ("200.000", "900.000", "0.375", "load", "conv", "preprocess", "80.0 MiB"):
        assert figure in text


def test_one_bundle_has_no_ratios():
    assert "ratio" in page(a_profile(a_bundle("a"), a_bundle("b"))).split("<h2>")[2]
    assert page(a_profile(a_bundle())).count("<svg") == 2


def test_a_backend_without_a_profiler_of_layers_says_so():
    assert "This backend has no profiler that times its layers." in page(a_profile(a_bundle(layers=None)))


def test_what_a_bundle_says_of_itself_is_text():
    name = "<script>alert(1)</script>\x1b[31m"
    layers = (LayerTime(name, name, 0.1),)
    text = page(a_profile(a_bundle(name, model=name, layers=layers, cautions=(name,))))
    assert "<script" not in text
    assert "\x1b" not in text


def test_a_line_goes_through_what_was_measured():
    (line,) = runs_plot(["a"], [FAST]).lines
    found = coordinates(line.points)
    assert [x for x, _ in found] == sorted(x for x, _ in found)
    heights = [HEIGHT - y for _, y in found]  # in milliseconds, to the scale of the axis
    assert [height / heights[0] for height in heights] == pytest.approx([1, 3, 2, 4], rel=0.01)
    plot = shares_plot(["a"], [FAST])
    assert [round(HEIGHT - y) for _, y in coordinates(plot.lines[0].points)] == [HEIGHT * n // 4 for n in (1, 2, 3, 4)]


def test_all_is_drawn_within_the_axes():
    comparison = Comparison("b", "a", (0.5, 0.7, 1.3))
    for plot in (runs_plot(["a"], [FAST]), shares_plot(["a"], [FAST]), ratios_plot([comparison])):
        for x, y in coordinates(plot.lines[0].points):
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
        assert [tick.at for tick in plot.x_ticks][:: len(plot.x_ticks) - 1] == [0, WIDTH]
        assert [tick.at for tick in plot.y_ticks][:: len(plot.y_ticks) - 1] == [HEIGHT, 0]


def test_very_many_samples_are_thinned_and_one_is_drawn():
    many = replace(FAST, rounds=((0.001,) * (3 * MOST_POINTS + 1),))
    assert MOST_POINTS / 2 < len(coordinates(runs_plot(["a"], [many]).lines[0].points)) <= MOST_POINTS
    one = replace(FAST, rounds=((0.001,),))
    assert len(coordinates(runs_plot(["a"], [one]).lines[0].points)) == 1


@given(st.just(0.0) | st.floats(1e-9, 1e6), st.floats(1e-9, 1e6))
def test_ticks_are_few_evenly_spaced_and_around_all(one, other):
    low, high = sorted((one, other))
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 8
    assert marks[0] <= low + 1e-6 * high
    assert marks[-1] >= high - 1e-6 * high
    steps = [after - before for before, after in pairwise(marks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
