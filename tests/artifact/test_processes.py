"""Processes of our own: what one finds packages in, and how one ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

from compiler.artifact import ended, isolated_command


def test_it_finds_what_it_is_told_and_nothing_where_it_is_started(tmp_path):
    told, here = tmp_path / "told", tmp_path / "here"
    for folder, text in ((told, "from elsewhere"), (here, "from the current folder")):
        folder.mkdir()
        (folder / "strange.py").write_text(f"import sys\ndef main(): print({text!r}, sys.argv[1:])\n")
    command = [*isolated_command("strange", [str(told), *sys.path]), "an argument"]
    run = subprocess.run(command, cwd=here, env={"PYTHONPATH": str(here)}, capture_output=True, text=True, check=True)
    assert run.stdout == "from elsewhere ['an argument']\n"
    command = isolated_command("strange", [folder for folder in sys.path if folder])
    assert subprocess.run(command, cwd=here, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize(("status", "words"), [(-9, "SIGKILL"), (-6, "SIGABRT"), (1, "exit status 1")])
def test_how_one_ended_is_told_in_words(status, words):
    assert ended(status) == words
