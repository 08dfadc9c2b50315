"""The verb `explain`: the ledger of a bundle."""

from __future__ import annotations

import pytest

from compiler.errors import CompileError
from tests.cli.running import run_verb


def test_it_prints_the_ledger_of_a_bundle(bundle, capsys):
    assert run_verb("explain", str(bundle)) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"rtmpose  {bundle.name}\n")
    assert "fired " in printed
    assert "skipped" in printed


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(CompileError, match="is not a bundle"):
        run_verb("explain", str(tmp_path))
