"""What a bundle says that it was compiled from."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.config import compose
from compiler.runtime import CONFIG_FILE, read_config
from compiler.stages.package import config_yaml

texts = st.text(st.characters()) | st.text(st.sampled_from("\\${}?:.'\" oc.env\n"))


@pytest.fixture(scope="module")
def detector():
    return compose(["model=rtmdet-tiny"])


def with_class_names(config, names):
    processing = {**config.model.processing, "classes": {**config.model.processing["classes"], "names": names}}
    return replace(config, model=replace(config.model, processing=processing))


@pytest.fixture(scope="module")
def read_back(detector, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")

    def round_trip(names):
        (folder / CONFIG_FILE).write_text(config_yaml(with_class_names(detector, names)), encoding="utf-8")
        return read_config(folder).model.processing["classes"]["names"]

    return round_trip


def test_a_secret_that_a_class_is_called_after_is_not_told(monkeypatch, read_back):
    monkeypatch.setenv("SECRET", "do not tell")
    assert read_back(["${oc.env:SECRET}", "???", "${", "person"]) == ["${oc.env:SECRET}", "???", "${", "person"]


@given(names=st.lists(texts, max_size=4))
def test_any_text_may_be_the_name_of_a_class(read_back, names):
    assert read_back(names) == names
