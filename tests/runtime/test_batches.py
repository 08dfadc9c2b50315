"""Several inputs at once: they share batches where their shapes allow it, and are as if each were alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from compiler import runtime
from compiler.config.sizes import SizeRange
from compiler.errors import CompileError, UsageError
from compiler.runtime.batches import run_samples
from compiler.tasks import Sample
from tests.bundles import FIRST_LAYOUT
from tests.conftest import PHOTOGRAPH, REPOSITORY

PHOTOGRAPHS = REPOSITORY / "compiler/tasks/photographs"
NOISE = np.random.default_rng(0)


def opened(name):
    """A small bundle, and the shapes that its engine is given."""
    predictor = runtime.open(FIRST_LAYOUT / name, trust_changes=True)
    shapes = []

    def run(tensors):
        shapes.append(next(iter(tensors.values())).shape)
        return predictor.session.run(tensors)

    return replace(predictor, session=SimpleNamespace(run=run)), shapes


def image(height, width):
    return NOISE.integers(0, 256, (height, width, 3), np.uint8)


def assert_alike(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys()
        for key, value in other.items():
            if isinstance(value, list | float) and key != "names":
                np.testing.assert_allclose(one[key], value, rtol=1e-3, atol=1e-3)
            else:
                assert one[key] == value


@pytest.mark.parametrize(
    ("name", "sources"),
    [
        ("objects", [PHOTOGRAPHS / "word.png", image(90, 120)]),
        ("text", [PHOTOGRAPHS / "page.png", image(100, 100)]),
        ("reader", [PHOTOGRAPHS / "word.png", image(32, 200), image(32, 200), image(32, 60)]),
        ("arrays", [np.ones((2, 3, 256, 192), "f4"), np.zeros((1, 3, 256, 192), "f4")]),
        ("pose", [PHOTOGRAPH, image(90, 120), str(PHOTOGRAPH)]),
    ],
)
def test_a_list_of_inputs_gives_the_list_of_what_each_gives(name, sources):
    predictor, _ = opened(name)
    if name == "arrays":
        sources = [
            one[:, :, : predictor.engine.inputs[0].shape[2], : predictor.engine.inputs[0].shape[3]] for one in sources
        ]
    together = predictor(sources)
    assert isinstance(together, list)
    assert len(together) == len(sources)
    for found, source in zip(together, sources, strict=True):
        assert_alike([one.to_dict() for one in found], [one.to_dict() for one in predictor(source)])


def test_images_go_through_the_engine_together():
    predictor, shapes = opened("pose")
    assert predictor.batch == 4
    predictor([PHOTOGRAPH] * 6)
    assert [shape[0] for shape in shapes] == [4, 2]


def test_a_tuple_is_a_list_and_an_empty_one_gives_nothing():
    predictor, shapes = opened("pose")
    assert len(predictor((PHOTOGRAPH, PHOTOGRAPH))) == 2
    assert shapes[0][0] == 2
    assert predictor([]) == []


def test_the_boxes_of_one_image_share_batches_with_those_of_the_next():
    predictor, shapes = opened("pose")
    boxes = [[80, 20, 310, 460], [20, 10, 200, 300], [0, 0, 100, 100]]
    first, second, third = predictor([PHOTOGRAPH] * 3, [boxes[:1], boxes, None])
    assert [shape[0] for shape in shapes] == [4, 1]
    assert [one.box.tolist() for one in second] == boxes
    assert (len(first), len(third)) == (1, 1)
    assert_alike([first[0].to_dict()], [predictor(PHOTOGRAPH, boxes[0])[0].to_dict()])


def test_what_is_wider_than_others_has_a_batch_of_its_own():
    predictor, shapes = opened("reader")
    predictor([image(32, 300), image(32, 100), image(32, 300)])
    widths = [shape[3] for shape in shapes]
    assert len(widths) == len(set(widths)) == 2
    assert sorted(shape[0] for shape in shapes) == [1, 2]


@pytest.mark.parametrize("boxes", [[None], "0,0,5,5", [None] * 3])
def test_boxes_for_another_number_of_inputs_are_refused(boxes):
    predictor, _ = opened("pose")
    with pytest.raises(UsageError, match="there are 2 sources, and the boxes are not as many") as caught:
        predictor([PHOTOGRAPH, PHOTOGRAPH], boxes)
    assert "for each source" in caught.value.fix


def test_an_input_that_cannot_be_used_is_named(tmp_path):
    predictor, _ = opened("pose")
    with pytest.raises(CompileError, match="the image does not exist") as caught:
        predictor([PHOTOGRAPH, tmp_path / "missing.jpg"])
    assert caught.value.where.endswith("missing.jpg")


@dataclass
class Adding:
    """A task whose network adds one, in which a batch can be taken apart or not."""

    batched: bool

    def preprocess(self, sample, sizes):
        return SimpleNamespace(tensors={"x": sample.source})

    def decode(self, outputs, prepared):
        return outputs["y"].tolist()


@pytest.mark.parametrize(("batched", "runs"), [(True, [3, 3, 1]), (False, [1] * 7)])
def test_no_more_inputs_are_read_than_share_a_batch(batched, runs):
    read, given = [], []

    def samples():
        for index in range(7):
            read.append(index)
            yield Sample(np.array([[index]]))

    def run(tensors):
        given.append((len(tensors["x"]), len(read)))
        return {"y": tensors["x"] + 1}

    found = run_samples(Adding(batched), run, samples(), SizeRange.exactly((1,)), 3)
    assert found == [[[index + 1]] for index in range(7)]
    assert [count for count, _ in given] == runs
    ends = np.cumsum(runs)
    assert all(seen <= end + 1 for (_, seen), end in zip(given, ends, strict=True))
