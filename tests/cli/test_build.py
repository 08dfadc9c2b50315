"""The verb `build`: what `tests/pipeline/test_deferred_build.py` finishes is named on the command line."""

from __future__ import annotations

import pytest

from compiler.errors import CompileError
from tests.cli.running import run_verb


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(CompileError) as caught:
        run_verb("build", str(tmp_path))
    assert str(tmp_path) in str(caught.value)
