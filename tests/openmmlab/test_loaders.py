"""Data sets are found in loaders, however they are wrapped."""

import pytest

from compiler.openmmlab.loaders import dataset_chains

ONE, OTHER = {"type": "One"}, {"type": "Other"}


def places(config, *loaders):
    return [[one.where for one in chain] for chain in dataset_chains(config, loaders or ("val", "test"))]


@pytest.mark.parametrize(
    ("loader", "expected"),
    [
        ({"dataset": ONE}, [["val.dataset"]]),
        ({"dataset": {"type": "Repeat", "dataset": ONE}}, [["val.dataset", "val.dataset.dataset"]]),
        (
            {"dataset": {"datasets": [ONE, {"dataset": OTHER}]}},
            [
                ["val.dataset", "val.dataset.datasets[0]"],
                ["val.dataset", "val.dataset.datasets[1]", "val.dataset.datasets[1].dataset"],
            ],
        ),
        ([{"dataset": ONE}, {"dataset": OTHER}], [["val[0].dataset"], ["val[1].dataset"]]),
    ],
)
def test_each_innermost_data_set_comes_after_those_that_wrap_it(loader, expected):
    assert places({"val": loader}) == expected


def test_the_first_loader_that_says_anything_counts():
    config = {"val": None, "test": {"dataset": ONE}}
    assert places(config) == [["test.dataset"]]
    assert places({**config, "val": {"dataset": OTHER}}, "test", "val") == [["test.dataset"]]


@pytest.mark.parametrize(
    "loader", [None, {}, 5, "text", [], [5], {"dataset": None}, {"dataset": 5}, {"dataset": [ONE]}]
)
def test_what_is_no_data_set_is_left_out(loader):
    assert places({"val": loader}) == []


def test_what_wraps_nothing_is_innermost():
    assert places({"val": {"dataset": {"datasets": []}}}) == [["val.dataset"]]
    assert places({"val": {"dataset": {"datasets": 5}}}) == [["val.dataset"]]
