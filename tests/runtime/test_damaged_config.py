"""A bundle's config that is damaged is refused with one kind of error, whatever is wrong with it."""

from contextlib import nullcontext
from dataclasses import asdict, replace

import pytest
from omegaconf import OmegaConf

from compiler.artifact import TensorSpec
from compiler.config import compose
from compiler.config.limits import Limits, check_inputs
from compiler.config.plain_yaml import dump_yaml
from compiler.errors import CompileError
from compiler.runtime import open as open_bundle
from compiler.runtime import read_config
from tests.bundles import change_json, lock_again, small_bundle


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


@pytest.mark.parametrize("shape", ["static_20000x20000", "dynamic_64x64-60032x60032"])
def test_an_input_that_is_larger_than_an_image_may_be_is_refused(tmp_path, shape):
    config = replace(compose(["model=rtmdet-tiny"]), shape=shape, limits=Limits(megapixels=2**20))
    (tmp_path / "config.yaml").write_text(dump_yaml(asdict(config)))
    with pytest.raises(CompileError, match="larger than any image") as caught:
        read_config(tmp_path)
    assert caught.value.where == str(tmp_path / "config.yaml")
    assert "limits.megapixels is 100" in caught.value.why
    assert read_config(tmp_path, limits=Limits(megapixels=5000)).shape == shape


@pytest.mark.parametrize(("size", "fits"), [([192, 256], True), ([25_000, 25_000], False), ("everything", False)])
def test_what_the_processing_makes_is_no_larger_either(tmp_path, size, fits):
    config = compose(["model=rtmpose-t"])
    config.model.processing["input_size"] = size
    (tmp_path / "config.yaml").write_text(dump_yaml(asdict(config)))
    with nullcontext() if fits else pytest.raises(CompileError):
        read_config(tmp_path)


@pytest.mark.parametrize(
    ("shape", "most", "fits"),
    [
        (("batch", 3, 640, 640), 100, True),
        ((64, 3, 1280, 1280), 1, True),
        ((40_000, 32, 10), 100, True),
        ((3000, 3, 640, 640), 100, False),
        ((10**30, 3, "height", "width"), 100, False),
        ((10**12, 0, 0), 100, False),
        ((1,) * 65, 100, False),
        ((1, 3, 15_000, 15_000), 100, False),
        ((1, 3, 15_000, 15_000), 225, True),
    ],
)
def test_an_engine_takes_no_more_numbers_than_an_image_or_a_batch_has(shape, most, fits):
    refused = nullcontext() if fits else pytest.raises(CompileError, match="larger than any may be")
    with refused:
        check_inputs([TensorSpec("image", "float32", shape)], "engine.json", Limits(megapixels=most))


@pytest.mark.parametrize(("batch", "fits"), [(4, True), (3000, False)])
def test_a_bundle_whose_engine_takes_more_is_not_opened(tmp_path, batch, fits):
    bundle = small_bundle(tmp_path / "objects", "objects")
    inputs = [{"name": "input", "dtype": "float32", "shape": [batch, 3, 640, 640]}]
    change_json(bundle / "engine.json", inputs=inputs)
    lock_again(bundle)
    with nullcontext() if fits else pytest.raises(CompileError, match="larger than any may be"):
        open_bundle(bundle)
