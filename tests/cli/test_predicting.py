"""What `predict` prints is JSON, whatever an engine computes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from compiler.cli.outlets import Outlets
from compiler.cli.predicting import predict_many, predict_one
from compiler.config.limits import DEFAULT_LIMITS
from compiler.runtime.inputs import Input


@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
def test_what_is_no_number_is_told_as_text(capsys, many):
    result = SimpleNamespace(to_dict=lambda: {"score": float("nan"), "box": [0.0, float("inf")], "label": 3})

    def runner(source):
        return [result]

    runner.streams = 1
    one, outlets = Input(Path("a.png"), Path("a")), Outlets()
    if many:
        assert predict_many(runner, [one], outlets, DEFAULT_LIMITS) == 0
    else:
        predict_one(runner, one, outlets)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    told = json.loads(capsys.readouterr().out, parse_constant=refuse)
    found = told["results"] if many else told
    assert found == [{"score": "nan", "box": [0.0, "inf"], "label": 3}]
