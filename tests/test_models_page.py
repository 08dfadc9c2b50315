"""docs/models.md says what the configs say."""

from __future__ import annotations

import pytest

from compiler.config.search import config_loader
from tests.models_page import PAGE, models_table, replaced


def test_the_page_lists_the_models_as_the_configs_have_them():
    assert models_table() in PAGE.read_text(), "python -m tests.models_page writes the page anew"


def test_every_model_is_on_the_page():
    page = PAGE.read_text()
    assert [name for name in config_loader().get_group_options("model") if f"`{name}`" not in page] == []


def test_a_part_of_a_page_is_replaced_and_the_rest_stays():
    page = "before\n<!-- models -->\nold\n<!-- end of models -->\nafter"
    assert replaced(page, "models", "new") == "before\n<!-- models -->\nnew\n<!-- end of models -->\nafter"


def test_a_page_without_the_place_is_refused():
    with pytest.raises(ValueError, match="0 places for models"):
        replaced("nothing", "models", "new")
