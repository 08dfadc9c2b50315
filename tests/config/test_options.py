"""What can be chosen is what Hydra finds, and listing it takes no Hydra."""

from __future__ import annotations

import pytest

from compiler.config.options import group_options, groups
from compiler.config.search import config_loader
from compiler.errors import UsageError


@pytest.fixture
def config_dir(tmp_path):
    """A user's folder, in which not everything is a choice."""
    for file in ("model/mine.yaml", "model/more/other.yaml", "model/notes.txt", "own/a.yaml", "backend/x.yml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("name: mine\n")
    (tmp_path / "model/folder.yaml").mkdir()
    (tmp_path / "model/__pycache__").mkdir()
    return tmp_path


@pytest.mark.parametrize("with_folder", [False, True])
def test_choices_are_those_that_hydra_finds(config_dir, with_folder):
    folder = config_dir if with_folder else None
    loader = config_loader(folder)
    for group in groups(folder):
        assert group_options(group, folder) == loader.get_group_options(group)
    assert {group for group in loader.list_groups("") if group != "hydra"} <= set(groups(folder))
    assert ("mine" in group_options("model", folder)) == with_folder
    assert ("model/more" in groups(folder)) == with_folder


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        group_options("model", tmp_path / "nowhere")
