"""docs/mmdeploy.md and docs/backends.md say what the compiler answers."""

from tests.mmdeploy_page import BACKENDS, PAGE, backends_table, tables, with_tables

ANEW = "python -m tests.mmdeploy_page writes the page anew"


def test_the_page_has_the_answers():
    page = PAGE.read_text("utf-8")
    assert with_tables(page, tables()) == page, ANEW


def test_every_backend_of_mmdeploys_has_its_row():
    page = BACKENDS.read_text("utf-8")
    assert with_tables(page, {"backends": backends_table()}) == page, ANEW
    assert all(f"| `{name}` |" in page for name in ("pplnn", "ascend", "snpe", "tvm", "vacc"))


def test_readers_find_the_page():
    assert "(docs/mmdeploy.md)" in (PAGE.parents[1] / "README.md").read_text("utf-8")
