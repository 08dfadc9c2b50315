"""A bundle's config that is damaged is refused with one kind of error, whatever is wrong with it."""

from dataclasses import asdict

import pytest
from omegaconf import OmegaConf

from compiler.config import compose
from compiler.errors import CompileError
from compiler.runtime import read_config


@pytest.mark.parametrize(
    "content",
    [
        b"a: [1",
        b"a: \xff\xfe",
        b"a: \x00",
        b"3",
        b"",
        b"a: 1\na: 2",
        b"? [a]\n: 1",
        b"a: ${b",
        b"!!python/object:x.Y {}",
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(tmp_path, content):
    (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(CompileError, match=r"config\.yaml is not the config of a bundle") as caught:
        read_config(tmp_path)
    assert caught.value.where == str(tmp_path / "config.yaml")
    assert caught.value.why
    assert "\n" not in caught.value.why


def test_what_was_composed_is_read_as_it_was(tmp_path):
    config = compose(["model=rtmpose-t"])
    OmegaConf.save(asdict(config), tmp_path / "config.yaml")
    assert read_config(tmp_path) == config
