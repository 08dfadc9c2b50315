"""A few lines of YAML can stand for billions of values: that is known before any of them is made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from compiler.config import compose, yaml_files
from compiler.config.known_classes import modules_of
from compiler.config.yaml_files import LARGEST_YAML, check_yaml
from compiler.errors import CompileError, UsageError


def doubled(lines: int, step: str = "a{0}: &a{0} [*a{1}, *a{1}]\n") -> str:
    """Return YAML in which every line stands for twice what the one before it does."""
    return "a0: &a0 [0]\n" + "".join(step.format(line + 1, line) for line in range(lines))


BOMBS = {
    "lists twice in lists": (doubled(40), "more than 1,000,000 values"),
    "mappings merged twice": (
        "a0: &a0 {k: 0}\n" + doubled(40, "a{0}: &a{0} {{<<: [*a{1}, *a{1}]}}\n")[12:],
        "1,000,000",
    ),
    "a list in itself": ("a: &a [*a]", "the alias \\*a stands within what it names"),
    "brackets": ("a: " + "[" * 5000, "nested deeper than 50 levels"),
    "dashes": ("- " * 60 + "a", "nested deeper than 50 levels"),
    "a long file": ("a: " + "b" * LARGEST_YAML, "is too large"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_yaml_that_stands_for_too_much_is_refused(name, tmp_path):
    content, why = BOMBS[name]
    path = tmp_path / "bomb.yaml"
    path.write_text(content)
    with pytest.raises(CompileError, match=why) as caught:
        check_yaml(path)
    assert caught.value.where == str(path)


def test_aliases_that_stand_for_little_are_read(tmp_path):
    path = tmp_path / "fine.yaml"
    path.write_text(
        "sizes: &sizes [1, 2]\nagain: *sizes\nbase: &base {k: 1e-4}\nmore: {<<: *base, j: 2}\n" + doubled(8)
    )
    check_yaml(path)
    found = OmegaConf.load(path)
    assert found.again == [1, 2]
    assert found.more == {"k": 1e-4, "j": 2}
    assert len(found.a8) == 2


def test_what_is_nested_within_the_bound_is_read(tmp_path):
    path = tmp_path / "fine.yaml"
    path.write_text("a: " + "[" * 40 + "]" * 40)
    check_yaml(path)
    assert OmegaConf.load(path).a


def test_a_config_folder_of_the_users_is_read_with_the_same_care(tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "bomb.yaml").write_text(doubled(40))
    (model / "mine.yaml").write_text("# @package model\ndefaults: [rtmpose-s, _self_]\nname: mine\n")
    os.mkfifo(model / "pipe.yaml")
    (model / "endless.yaml").symlink_to("/dev/zero")
    (model / "sparse.yaml").touch()
    os.truncate(model / "sparse.yaml", 2**31)
    (model / "deep.yaml").write_text("a: " + "[" * 5000)
    assert compose(["model=mine"], config_dir=tmp_path).model.name == "mine"
    for name, why in (("bomb", "cannot be read"), ("sparse", "is too large"), ("deep", "cannot be read")):
        with pytest.raises(CompileError, match=why) as caught:
            compose([f"model={name}"], config_dir=tmp_path)
        assert Path(caught.value.where).name == f"{name}.yaml"
    for name in ("pipe", "endless"):  # no files, and thus no choices
        with pytest.raises(UsageError, match=f"there is no model '{name}'"):
            compose([f"model={name}"], config_dir=tmp_path)


@pytest.fixture
def users_file(tmp_path):
    """A model of the user's, in a config folder."""
    (tmp_path / "model").mkdir()
    return tmp_path / "model/mine.yaml"


@pytest.mark.parametrize(
    "content", ["name: [mine", "a: 1\na: 2", "a: \x01", "- " * 60, "a: &a [*a]", "!!python/object:x.Y {}"]
)
def test_a_broken_file_is_told_of_in_the_same_words_whoever_reads_it(users_file, content):
    users_file.write_text(content)
    folder = users_file.parents[1]
    said = []
    for read in (lambda: compose(["model=mine"], folder), lambda: modules_of(folder)):
        with pytest.raises(UsageError) as caught:
            read()
        said.append(str(caught.value))
    assert said[0].replace(str(folder.resolve()), str(folder)) == said[1]


def test_what_was_looked_at_is_what_is_used_though_the_file_is_replaced_meanwhile(users_file, monkeypatch):
    content = "# @package model\ndefaults: [rtmpose-s, _self_]\nname: mine\ntail: {_target_: mine.X}\n"
    check = yaml_files._check_values

    def replaced(text):
        check(text)
        users_file.write_text(doubled(40))

    monkeypatch.setattr(yaml_files, "_check_values", replaced)
    folder = users_file.parents[1]
    users_file.write_text(content)
    assert modules_of(folder) == {"mine"}
    users_file.write_text(content)
    assert compose(["model=mine"], folder).model.name == "mine"
