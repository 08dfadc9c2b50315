"""What stands around a compile: the file that keeps other processes away is our own."""

from __future__ import annotations

import pytest

from compiler.errors import CompileError
from compiler.pipeline.guards import one_at_a_time


def ignore(event: object) -> None:
    pass


@pytest.mark.parametrize("target", ["precious.txt", "nothing.txt"])
def test_a_lock_file_that_is_a_link_is_refused_and_what_it_leads_to_is_as_it_was(tmp_path, target):
    (tmp_path / "precious.txt").write_text("precious")
    (tmp_path / ".bundle.lock").symlink_to(target)
    with pytest.raises(CompileError, match="cannot be written") as caught, one_at_a_time(tmp_path / "bundle", ignore):
        pass
    assert caught.value.where == str(tmp_path / ".bundle.lock")
    assert (tmp_path / "precious.txt").read_text() == "precious"
    assert not (tmp_path / "nothing.txt").exists()


def test_a_lock_file_that_was_left_behind_is_used_again(tmp_path):
    (tmp_path / ".bundle.lock").write_text("")
    with one_at_a_time(tmp_path / "bundle", ignore):
        pass
