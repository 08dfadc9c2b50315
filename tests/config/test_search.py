"""Where configs are found, also where the process has a Hydra of its own."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

from compiler.config import compose, config_folder
from compiler.config.search import config_loader
from compiler.errors import UsageError

COMPILER = Path(__file__).parents[2] / "compiler"


def test_an_application_of_hydra_may_compose_our_configs_too(tmp_path):
    (tmp_path / "theirs.yaml").write_text("colour: red\n")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        theirs = GlobalHydra.instance().hydra
        assert compose(["model=rtmpose-s"]).model.name == "rtmpose-s"
        assert GlobalHydra.instance().hydra is theirs
        assert hydra.compose("theirs").colour == "red"


def test_composing_leaves_no_hydra_behind():
    compose()
    assert not GlobalHydra.instance().is_initialized()


def test_a_folder_is_searched_only_by_the_loader_it_was_given_to(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("defaults: [rtmpose, _self_]\n")
    assert "mine" in config_loader(tmp_path).get_group_options("model")
    assert "mine" not in config_loader().get_group_options("model")


def test_a_translated_model_takes_the_place_of_ours_and_a_users_folder_may_not(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/rtmpose.yaml").write_text("name: another\n")
    with pytest.raises(UsageError, match="has the name of one of ours"):
        compose([], config_dir=tmp_path)
    searched = config_loader(model_folder=tmp_path).get_sources()
    assert [source.provider for source in searched] == ["hydra", "translated-model", "main", "schema"]
    assert searched[2].path == str(config_folder())


def test_of_hydra_the_compiler_uses_what_is_public():
    sources = {file: file.read_text(encoding="utf-8") for file in COMPILER.rglob("*.py")}
    assert any("from hydra" in text for text in sources.values())
    assert [file for file, text in sources.items() if "hydra._internal" in text] == []
