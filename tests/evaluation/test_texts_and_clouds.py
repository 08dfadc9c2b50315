"""Bundles of text on data sets of ICDAR's that were converted; and KITTI and nuScenes by their configs."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from compiler import runtime
from compiler.config.instantiate import instantiate
from compiler.datasets.conversion import convert
from compiler.evaluation import EvaluationOptions, evaluate
from compiler.evaluation.dataset_configs import find_dataset
from compiler.evaluation.metric_selection import openmmlab_nodes
from compiler.metrics import Metric
from compiler.metrics.text_detection import HmeanIou
from compiler.metrics.text_recognition import CharacterAccuracy, NormalizedEditDistance, WordAccuracy
from compiler.openmmlab.evaluators import Evaluator
from compiler.tasks.images import read_image, write_image
from tests.bundles import small_bundle
from tests.metrics import kitti_files, nuscenes_tables

CONFIDENT = 0.3
"""The score below which MMOCR leaves everything out."""


@pytest.fixture(scope="module")
def options(tmp_path_factory) -> EvaluationOptions:
    return EvaluationOptions(output=tmp_path_factory.mktemp("results"), workers=1)


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    """A detector of text. Not to be changed."""
    return small_bundle(tmp_path_factory.mktemp("bundles") / "texts", "text")


@pytest.fixture(scope="module")
def page(texts, tmp_path_factory) -> Path:
    """ICDAR's files of one page: every third of the texts that the detector finds, and one of the others unreadable."""
    folder = tmp_path_factory.mktemp("icdar")
    predictor = runtime.open(texts)
    image = read_image(predictor.task.sample_source())
    write_image(folder / "images/page.png", image)
    found = [one.polygon for one in predictor(image) if one.score >= CONFIDENT]
    assert len(found) > 3
    lines = [f"{_corners(polygon)},word\n" for polygon in found[::3]]
    (folder / "gt_page.txt").write_text("".join([*lines, f"{_corners(found[1])},###\n"]))
    return folder


def _corners(polygon) -> str:
    return ",".join(f"{number:.3f}" for number in polygon.ravel().tolist())


def test_texts_are_measured_as_one_image_at_a_time_is(texts, page, options):
    annotations = page / "measured.json"
    dataset = convert("icdar2015", page, annotations, {})
    predictor = runtime.open(texts)
    expected = HmeanIou().score([predictor(item.path) for item in dataset.items], dataset)
    (column,) = evaluate([texts], annotations, options).columns
    assert column.numbers == pytest.approx(expected)
    assert 0.3 < column.numbers["icdar/hmean"] < 0.9, (
        "a third of what is found is true, and nearly all of that is found"
    )


def test_texts_are_written_for_icdars_server(texts, page, options):
    annotations = page / "written.json"
    convert("icdar2015", page, annotations, {})
    (column,) = evaluate([texts], annotations, replace(options, format_only=True)).columns
    with zipfile.ZipFile(column.written[0]) as archive:
        assert archive.namelist() == ["res_page.txt"]
        lines = archive.read("res_page.txt").decode().splitlines()
    assert all(len(line.split(",")) == 8 for line in lines)
    assert len(lines) > 3


def test_words_are_measured(options, tmp_path):
    bundle = small_bundle(tmp_path / "reader", "reader")
    predictor = runtime.open(bundle)
    image = read_image(predictor.task.sample_source())
    for name, picture in (("a", image), ("b", image[:, ::-1])):
        write_image(tmp_path / f"{name}.png", picture)
    (read,) = predictor(tmp_path / "a.png")
    (tmp_path / "gt.txt").write_text(f'a.png, "{read.text.upper()}"\nb.png, "something else"\n')
    convert("icdar2015", tmp_path / "gt.txt", tmp_path / "textrecog_test.json", {})
    (column,) = evaluate([bundle], tmp_path / "textrecog_test.json", options).columns
    assert list(column.numbers) == [
        "recog/word_acc",
        "recog/word_acc_ignore_case",
        "recog/word_acc_ignore_case_symbol",
        "recog/1-N.E.D",
    ]
    assert list(column.numbers.values())[:3] == [0, 0.5, 0.5]
    assert 0.5 < column.numbers["recog/1-N.E.D"] < 1


def test_kittis_config_names_the_points_that_the_camera_sees(tmp_path):
    root = kitti_files.write_files(tmp_path / "training")
    (root / "velodyne").rename(root / "velodyne_reduced")
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets/val.txt").write_text("000003\n000005\n")
    found = find_dataset("kitti", tmp_path)
    assert [item.path for item in found.dataset.items] == [root / f"velodyne_reduced/00000{one}.bin" for one in (3, 5)]


def test_nuscenes_config_names_the_scenes_that_are_validated_on(tmp_path):
    nuscenes_tables.write_tables(tmp_path, nuscenes_tables.tables())
    found = find_dataset("nuscenes_mini", tmp_path)
    assert len(found.dataset.items) == 2 * nuscenes_tables.SAMPLES, "of two scenes of three"


@pytest.mark.parametrize(
    ("task", "evaluator", "metric"),
    [
        (
            "text-detection",
            Evaluator("HmeanIOUMetric", {"pred_score_thrs": {"start": 0.3, "stop": 1, "step": 0.05}}),
            HmeanIou(pred_score_thrs=(0.3, 1, 0.05)),
        ),
        (
            "text-detection",
            Evaluator("HmeanIOUMetric", {"strategy": "max_matching"}),
            HmeanIou(strategy="max_matching"),
        ),
        ("text-recognition", Evaluator("WordMetric", {"mode": "exact"}), WordAccuracy(("exact",))),
        ("text-recognition", Evaluator("CharMetric", {}), CharacterAccuracy()),
        ("text-recognition", Evaluator("OneMinusNEDMetric", {"prefix": "IIIT5K"}), NormalizedEditDistance()),
    ],
)
def test_what_a_config_of_mmocr_measures_is_measured(task, evaluator, metric):
    (node,) = openmmlab_nodes(task, [evaluator])
    assert instantiate(node, Metric, "metric") == metric
