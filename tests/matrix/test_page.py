"""docs/backends.md says what the results say, of every place of the grid."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from compiler.config import compose
from compiler.config.backend_facts import backend_facts
from compiler.config.search import config_folder, config_loader
from tests.matrix.grid import COLUMNS, MODELS, SHAPES, Cell, cells
from tests.matrix.mmdeploy import BACKENDS, YES
from tests.matrix.page import NOT_RUN, NOWHERE, PAGE, Notes, content, place, said
from tests.matrix.results import Attempt, Result, read_results

CELL = Cell("crnn", "openvino", "static", "fp32")
PROVEN = Attempt("proven", 1.23e-5, "σ", 0.0, "characters", "engine (openvino)", 1.5, 3.0, "", "x86_64 AVX2")
COLUMN = next(column for column in COLUMNS if column.backend == "openvino")
CRNN = next(model for model in MODELS if model.family == "crnn")


def shown(attempt: Attempt, cell: Cell = CELL) -> tuple[str, list[str]]:
    notes = Notes()
    return said(Result(cell, attempt, 1.0), notes), list(notes.lines())


def test_the_page_is_what_the_results_say():
    assert content(read_results()) in PAGE.read_text("utf-8"), "python -m tests.matrix --write writes the page anew"


def test_every_place_of_the_grid_is_on_the_page():
    tables = re.split(r"^\*\*.*\*\*$", content({}).partition("What MMDeploy's")[0], flags=re.MULTILINE)[1:]
    assert len(tables) == 4
    for table, kind in zip(tables, ("usual", "usual", "best", "best"), strict=True):
        rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
        assert [row[0].partition(" ")[0] for row in rows] == [model.variant for model in MODELS]
        width = 1 + sum(bool(column.precision(kind)) for column in COLUMNS)
        assert all(len(row) == width and set(row[1:]) <= {NOT_RUN, NOWHERE} for row in rows)


def test_each_backend_is_a_column_in_precisions_that_it_has():
    assert sorted(column.backend for column in COLUMNS) == sorted(config_loader().get_group_options("backend"))
    for column in COLUMNS:
        has = backend_facts(yaml.safe_load((config_folder() / f"backend/{column.backend}.yaml").read_text()))
        assert {column.usual, column.best} - {""} <= set(has.PRECISIONS)
        assert column.usual == has.PRECISIONS[0]
        assert bool(column.best) == (len(has.PRECISIONS) > 1)


def test_each_algorithm_is_a_row():
    families = {model.family for model in MODELS}
    algos = yaml.safe_load((config_folder() / "deploy_names.yaml").read_text())["algos"]
    assert set(algos) - families == {"dbnetpp"}, "DBNet++ is DBNet with a fusion of its own in its neck"
    assert families >= set(YES)
    assert {backend for backend in BACKENDS.values() if backend} <= {column.backend for column in COLUMNS}


@pytest.mark.parametrize("family", ["crnn", "rtmdet", "pointpillars"])
def test_a_cell_composes_to_what_it_says(family: str):
    config = compose(Cell(family, "openvino", "dynamic", "fp16").overrides)
    assert (config.backend["name"], config.precision, config.resolved_shape.dynamic) == ("openvino", "fp16", True)
    assert all(size.batch <= 2 for size in config.proof_inputs)


def test_the_cells_that_say_most_come_first():
    order = list(cells())
    assert len(set(order)) == len(order)
    assert [cell.backend for cell in order[:4]] == ["onnxruntime", "openvino", "torchscript", "ncnn"]
    first = [(cell.shape, cell.precision) for cell in order[:128]]
    assert first == [("static", "fp32")] * 64 + [("dynamic", "fp32")] * 64
    assert {cell.shape for cell in cells(backends=("rknn",))} == {"static"}
    named = [cell.family for cell in cells(("crnn", "rtmpose"), ("openvino",))]
    assert named == ["crnn", "rtmpose"] * 4


def test_a_proven_cell_has_its_error_and_its_time_beside_onnx_runtime():
    assert shown(PROVEN) == ("1.2e-05 σ, 0.50x", [])
    assert shown(replace(PROVEN, milliseconds=None)) == ("1.2e-05 σ", [])
    assert shown(PROVEN, CELL.reference) == ("1.2e-05 σ, 1.5 ms", [])


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        (replace(PROVEN, outcome="not proven", reason="too far"), "not proven: 1.2e-05 σ [1]"),
        (replace(PROVEN, outcome="not proven", reason="too far", error=None), "not proven: [1]"),
        (
            replace(PROVEN, outcome="built", reason="too far", stage="engine (coreml, interpreted)"),
            "built, interpreted 1.2e-05 σ [1]",
        ),
        (replace(PROVEN, outcome="built", reason="too far", stage="program"), "built [1]"),
        (Attempt("none", reason="too far"), "no [1]"),
    ],
)
def test_what_is_not_proven_never_reads_like_a_yes_and_has_a_reason(attempt: Attempt, words: str):
    assert shown(attempt) == (words, ["- [1] too far"])


def test_a_reason_has_one_number_wherever_it_stands_and_fits_into_a_table():
    notes = Notes()
    assert [notes("a"), notes("b | c"), notes("a"), notes("")] == ["[1]", "[2]", "[1]", ""]
    assert list(notes.lines()) == ["- [1] a", "- [2] b / c"]


def test_what_was_not_run_says_so_and_what_a_backend_has_not_says_something_else():
    assert place(CRNN, COLUMN, "static", "usual", {}, Notes()) == NOT_RUN
    rknn = next(column for column in COLUMNS if column.backend == "rknn")
    assert [place(CRNN, rknn, shape, "usual", {}, Notes()) for shape in SHAPES] == [NOT_RUN, NOWHERE]


def test_a_yes_of_mmdeploys_is_a_yes_where_an_engine_was_proven_alone():
    def row(attempt: Attempt) -> str:
        text = content({CELL: Result(CELL, attempt, 1.0)})
        return next(line for line in text.partition("What MMDeploy's")[2].splitlines() if line.startswith("| crnn"))

    assert "yes" not in row(PROVEN), "MMDeploy says no of CRNN for OpenVINO"
    torchscript = replace(CELL, backend="torchscript")
    text = content({torchscript: Result(torchscript, PROVEN, 1.0)})
    assert "| crnn | yes | not run | not run | not run | [no such backend](#mmdeploys-backends) |" in text
    text = content({torchscript: Result(torchscript, Attempt("none", reason="no"), 1.0)})
    assert "| crnn | no [1] |" in text
