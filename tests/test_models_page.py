"""docs/models.md says what the configs say."""

from __future__ import annotations

import pytest

from compiler.config.search import config_loader
from compiler.tasks.voxel_detection.centers import CenterCoder, CenterDecoder, CenterSelection, CenterTask
from tests.models_page import PAGE, boxes_text, decoding_text, models_table, replaced


@pytest.fixture(scope="module")
def table() -> str:
    return models_table()


def test_the_page_lists_the_models_as_the_configs_have_them(table: str):
    assert table in PAGE.read_text(), "python -m tests.models_page writes the page anew"


def test_every_model_is_on_the_page():
    page = PAGE.read_text()
    assert [name for name in config_loader().get_group_options("model") if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("hrnet-w32-dark", ("256x192", "any batch", "MSRAHeatmap, DARK")),
        ("rtmdet", ("640x640", "any batch; 320x320 to 640x640, by 32", "score > 0.001, NMS at 0.65, best 300")),
        ("psenet-r50-ctw1500", ("PSEPostprocessor, poly, min_kernel_confidence 0.5, score_threshold 0.3",)),
        ("crnn", ("mmocr: `crnn_mini-vgg_5e_mj`", "any batch; 32x32 to 32x640, by 32x4", "CTC, 36 characters")),
        ("pointpillars", ("8000 voxels", "anchors, score > 0.1, rotated NMS at 0.01, best 50")),
        ("centerpoint", ("20000 voxels", "any number of clouds; up to 40000 voxels")),
    ],
)
def test_a_row_says_what_its_model_takes_and_how_it_is_decoded(table: str, name: str, cells: tuple[str, ...]):
    (row,) = (line.split(" | ") for line in table.splitlines() if f"`{name}`" in line)
    assert set(cells) <= {cell.strip("| ") for cell in row}


@pytest.mark.parametrize(
    ("nms_type", "text"),
    [
        ("circle", "centres, score > 0.1, circle NMS at 0.5 to 2 m, best 83 of each of 2 groups"),
        ("rotate", "centres, score > 0.1, rotated NMS at 0.2, best 83 of each of 2 groups"),
    ],
)
def test_boxes_around_centres_are_told_apart_by_distance_or_by_overlap(nms_type: str, text: str):
    limits = (-50.0, -50.0, -5.0, 50.0, 50.0, 5.0)
    coder = CenterCoder((-50.0, -50.0), limits, 4, (0.2, 0.2), score_threshold=0.1)
    decoder = CenterDecoder(
        tasks=(CenterTask(("car",)), CenterTask(("cone",))),
        bbox_coder=coder,
        test_cfg=CenterSelection(min_radius=(4.0, 0.25), post_center_limit_range=limits, nms_type=nms_type),
    )
    assert boxes_text(decoder) == text


def test_a_kind_of_task_that_the_page_knows_nothing_about_is_refused():
    with pytest.raises(TypeError, match="how str decodes"):
        decoding_text("pose-detection")


def test_a_part_of_a_page_is_replaced_and_the_rest_stays():
    page = "before\n<!-- models -->\nold\n<!-- end of models -->\nafter"
    assert replaced(page, "models", "new") == "before\n<!-- models -->\nnew\n<!-- end of models -->\nafter"


def test_a_page_without_the_place_is_refused():
    with pytest.raises(ValueError, match="0 places for models"):
        replaced("nothing", "models", "new")
