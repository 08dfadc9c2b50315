"""The pages: nothing in them is left to fill in, and what they call bundles is what a compile calls them."""

from __future__ import annotations

import re

import pytest

from compiler.cli.verbs import VERBS
from compiler.config import compose
from tests.conftest import REPOSITORY

PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])
LEFT = re.compile(r"@@|xxxx|TODO|^[A-Z]+(?:_[A-Z]+)+$", re.MULTILINE)
BUNDLE = re.compile(
    r"outputs/(?:([\w-]+)/)?([a-z-]+_[a-z0-9-]+_[a-z_]+(?:-[a-z0-9]+)?_(?:dynamic|static)_[\dx]+(?:-[\dx]+)?)"
)


@pytest.mark.parametrize("text", ["RECORDED_TABLE", "a\nRECORDED_TABLE\n", "see @@", "sha xxxx…"])
def test_what_is_left_to_fill_in_is_found(text):
    assert LEFT.search(text)
    assert not LEFT.search("`OWN_PRECISIONS` of a backend\nand `KEEPS_FP32`\nONNX\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_left_to_fill_in(page):
    assert LEFT.findall(page.read_text(encoding="utf-8")) == []


def bundles() -> list[tuple[str, str]]:
    """Every bundle in the pages and in the examples of the verbs: the folder above it, and its name."""
    examples = "\n".join(example for verb in VERBS.values() for example in verb.examples)
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    return sorted({(folder, name) for text in (*texts, examples) for folder, name in BUNDLE.findall(text)})


def test_bundles_are_found_in_pages_and_examples():
    assert ("rtmpose", "pose-detection_simcc_onnxruntime_dynamic_256x192") in bundles()
    assert ("", "detection_rtmdet-tiny_onnxruntime_static_640x640") in bundles()


@pytest.mark.parametrize(("folder", "name"), bundles())
def test_a_bundle_lies_where_the_pages_say(folder, name):
    config = compose([f"deploy={name}", *([f"model={folder}"] if folder else [])])
    assert config.bundle.as_posix() == "/".join(filter(None, ["outputs", folder, name]))
