"""Text in a config of OpenMMLab's that looks like something else: it stays the text that it is, all the way."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.config import compose
from compiler.openmmlab.model_file import as_yaml
from compiler.openmmlab.translate import translate
from compiler.openmmlab.translated_model import composed
from compiler.runtime import read_config
from compiler.stages.package import config_yaml
from tests.cli.running import run_verb
from tests.cli.test_import_config import write
from tests.openmmlab.test_translate_detection import CONFIG

HOSTILE = ["${oc.env:SECRET}", "???"]


def named(*names):
    """The config of a detector whose two classes have these names."""
    data = CONFIG["test_dataloader"]["dataset"]
    dataset = {**data, "metainfo": {"classes": list(names)}}
    return {**CONFIG, "test_dataloader": {**CONFIG["test_dataloader"], "dataset": dataset}}


def class_names(config):
    return config.model.processing["classes"]["names"]


@pytest.fixture
def secret(monkeypatch):
    monkeypatch.setenv("SECRET", "do not tell")


def test_a_class_that_is_called_like_a_resolver_is_compiled_as_it_is(secret, tmp_path):
    file = write(tmp_path, named(*HOSTILE))
    config = composed(["model=openmmlab", f"model.config={file}", "tail=host"], None)
    assert class_names(config) == HOSTILE
    assert config.model.processing["tail"] == "host"
    (tmp_path / "config.yaml").write_text(config_yaml(config), encoding="utf-8")
    assert class_names(read_config(tmp_path)) == HOSTILE
    assert "do not tell" not in (tmp_path / "config.yaml").read_text(encoding="utf-8")


def test_an_imported_model_is_composed_as_it_is(secret, tmp_path, capsys):
    run_verb("import", str(write(tmp_path, named(*HOSTILE))))
    printed = capsys.readouterr().out
    assert "do not tell" not in printed
    (tmp_path / "conf/model").mkdir(parents=True)
    (tmp_path / "conf/model/mine.yaml").write_text(printed, encoding="utf-8")
    assert class_names(compose(["model=mine"], tmp_path / "conf")) == HOSTILE


def test_the_name_of_a_file_adds_no_keys(secret):
    text = as_yaml(translate(named("a", "b"), "x\nname: ${oc.env:SECRET}\n.py"))
    assert yaml.safe_load(text)["name"].startswith("x")
    assert text.startswith("# x-name-oc-env-secret, from x\\nname: ${oc.env:SECRET}\\n.py.\n")


@pytest.mark.parametrize("folder", ["${oc.env:SECRET}", "${", "a b"])
def test_a_path_may_hold_what_looks_like_a_reference(secret, tmp_path, folder):
    (tmp_path / folder).mkdir()
    file = write(tmp_path / folder, named("a", "b"))
    written = str(file).replace("${", "\\${")
    config = composed(["model=openmmlab", f"model.config='{written}'"], None)
    assert (config.model.config, config.model.openmmlab) == (str(file), str(file))


def test_a_path_may_refer_to_the_environment_where_the_user_writes_it(monkeypatch, tmp_path):
    monkeypatch.setenv("WORK", str(tmp_path))
    file = write(tmp_path, named("a", "b"))
    config = composed(["model=openmmlab", "model.config=${oc.env:WORK}/my_fruit.py"], None)
    assert config.model.config == str(file)


@settings(max_examples=20, deadline=None)
@given(names=st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2, unique=True))
def test_any_text_may_be_the_name_of_a_class(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("conf")
    (folder / "model").mkdir()
    (folder / "model/mine.yaml").write_text(as_yaml(translate(named(*names), "mine.py")), encoding="utf-8")
    assert class_names(compose(["model=mine"], folder)) == names
