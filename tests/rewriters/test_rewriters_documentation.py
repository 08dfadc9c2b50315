"""What docs/rewriters.md shows has to work as it is written there: its files in their places, found without a word."""

import importlib
import re
from pathlib import Path

import pytest

from rewriters import Target, discover, select

PAGE = Path(__file__).parents[2] / "docs" / "rewriters.md"
NAMES = ("silu_to_hardswish", "global_pool_to_mean", "drop_relu_before_relu6", "drop_relu_after_sigmoid")


def files_on_the_page():
    """The code of each file on the page, by the place that its first line says."""
    blocks = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert PAGE.read_text(encoding="utf-8").count("```python") == len(blocks), "every file says where it goes"
    return dict(blocks)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with the files of the page, which Python looks through beside our own."""
    for place, code in files_on_the_page().items():
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")
    for folder in sorted((tmp_path / "rewriters").iterdir()):
        package = importlib.import_module(f"rewriters.{folder.name}")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
    return tmp_path


def test_every_file_and_its_test_are_where_the_table_says():
    table = dict(
        re.findall(
            r"^\| [\w, ]+ \| `(rewriters/\w+)/<name>\.py` \| `(tests/[\w/]+)/test_<name>\.py`", PAGE.read_text(), re.M
        )
    )
    places = list(files_on_the_page())
    for file, test in zip(places[::2], places[1::2], strict=True):
        folder, _, name = file.rpartition("/")
        assert test == f"{table[folder]}/test_{name}"
        assert (PAGE.parents[1] / table[folder]).is_dir()


def test_every_rewriter_of_one_network_has_its_test_where_the_table_says():
    row = r"^\| of one network \| `compiler/networks/<part>/<file>(_rewriters\.py)` \| `(.+)` \|$"
    ((ending, place),) = re.findall(row, PAGE.read_text(), re.M)
    files = sorted((PAGE.parents[1] / "compiler/networks").rglob(f"*{ending}"))
    assert files
    for file in files:
        name = file.name.removesuffix(ending)
        test = place.replace("<part>", file.parent.name).replace("<file>", name)
        assert (PAGE.parents[1] / test).is_file()


def test_rewriters_in_their_places_are_found(checkout):
    found = {rewriter.name for rewriter in discover()}
    assert found >= set(NAMES)
    chosen = select(discover(), Target("tinychip"))
    assert {rewriter.name for rewriter in (*chosen.of_network, *chosen.graphs)} >= set(NAMES)


def test_the_tests_on_the_page_pass(checkout):
    tests = []
    for file in sorted((checkout / "tests").rglob("test_*.py")):
        namespace = {"__name__": file.stem}
        exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), namespace)
        tests += [value for name, value in namespace.items() if name.startswith("test_")]
    assert len(tests) == 7
    for test in tests:
        test()
