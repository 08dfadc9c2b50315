"""What the command line does, as functions of the package."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import compiler
from compiler.config.override_values import overrides_of
from compiler.errors import Caution, CompileError, UsageError
from compiler.events import StageFinished
from tests.conftest import NAME


def composed(value):
    """What Hydra and OmegaConf make of the override of a value."""
    (override,) = overrides_of({"key": value})
    parsed = OverridesParser.create().parse_override(override)
    return OmegaConf.to_container(OmegaConf.create({"key": parsed.value()}), resolve=True)["key"]


TEXTS = (
    "",
    "null",
    "True",
    "1e5",
    "a,b=c[d]{e}(f):g",
    "it's",
    "end\\",
    "q\\'x",
    "${oc.env:HOME}",
    "\\${x}",
    " a ",
    "nets:build",
    "A¹",
)


@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_itself(text):
    assert composed(text) == text
    assert composed([text, text]) == [text, text]


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text("\\'${}a"))
def test_any_text_is_itself(text):
    assert composed(text) == text


@pytest.mark.parametrize("value", [None, True, False, 3, -2, 0.25, 1e-7, [], [1, "a", [True]]])
def test_other_values_are_themselves(value):
    assert composed(value) == value


def test_a_tuple_is_a_list_and_a_path_is_a_text():
    assert composed((80, 20)) == [80, 20]
    assert composed(Path("a b/c=d.pth")) == "a b/c=d.pth"


def test_a_mapping_is_a_group():
    assert list(overrides_of({"batch": {"largest": 8, "usual": 2}, "model": "rtmpose"})) == [
        "batch.largest=8",
        "batch.usual=2",
        "model=rtmpose",
    ]


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), {1, 2}, b"x"])
def test_what_no_config_can_hold_is_refused(value):
    with pytest.raises(UsageError, match="is nothing that a config can hold") as caught:
        list(overrides_of({"batch": {"largest": value}}))
    assert caught.value.where == "batch.largest"


def test_compile_makes_what_the_command_line_makes(outputs, shared_cache, tmp_path):
    heard = []
    settings = {"model": "rtmpose", "output": tmp_path, "cache": shared_cache}
    outcome = compiler.compile("backend=onnxruntime", listen=heard.append, **settings)
    assert (outcome.headline, outcome.up_to_date) == ("proven", False)
    assert outcome.bundle == tmp_path / "rtmpose" / NAME
    made, other = outcome.bundle / "end2end.onnx", outputs / "rtmpose" / NAME / "end2end.onnx"
    assert made.read_bytes() == other.read_bytes()
    assert [one.stage for one in heard if isinstance(one, StageFinished)][:2] == ["load", "export"]
    with pytest.warns(Caution, match="the weights are random"):
        assert compiler.compile("backend=onnxruntime", **settings).up_to_date


def test_a_config_folder_of_the_users_is_searched(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/mine.yaml").write_text("defaults: [rtmpose, _self_]\nname: mine\n")
    with pytest.raises(UsageError, match="mine takes only 256x192"):
        compiler.compile("model=mine", "shape=static_320x320", config_dir=tmp_path)


def test_what_is_wrong_is_raised_as_the_command_line_tells_it():
    with pytest.raises(UsageError, match="there is no model 'rtmpos'") as caught:
        compiler.compile(model="rtmpos")
    assert caught.value.fix.startswith("did you mean rtmpose")
    with pytest.raises(CompileError, match="is not a bundle"):
        compiler.open_bundle("nowhere")


def test_importing_the_package_imports_nothing():
    script = (
        "import sys, compiler; before = set(sys.modules); "
        "assert set(compiler.__all__) <= set(dir(compiler)); "
        "assert not before & {'torch', 'numpy', 'cv2', 'hydra', 'onnx', 'onnxruntime', 'compiler.runtime'}, before; "
        "compiler.open_bundle, compiler.profile, compiler.evaluate; "
        "assert not set(sys.modules) & {'torch', 'hydra', 'onnx'}"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_what_is_not_there_is_no_attribute():
    assert not hasattr(compiler, "nothing")
    with pytest.raises(ImportError):
        exec("from compiler import nothing")
