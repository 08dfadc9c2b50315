"""The verb `predict`: a bundle's results as JSON, and as a picture."""

from __future__ import annotations

import json
import warnings

import cv2
import pytest

from compiler.cli.cautions import cautions_shown
from compiler.cli.json_text import json_text
from compiler.errors import Caution, CompileError, UsageError
from compiler.printable import LONGEST
from tests.cli.running import run_verb
from tests.conftest import PHOTOGRAPH


def test_results_are_printed_and_drawn(bundle, tmp_path, capsys):
    picture = tmp_path / "drawn.png"
    assert run_verb("predict", str(bundle), str(PHOTOGRAPH), "box=80,20,310,460", f"picture={picture}") == 0
    (person,) = json.loads(capsys.readouterr().out)
    assert len(person["keypoints"]) == 17
    assert person["names"][:2] == ["nose", "left_eye"]
    assert cv2.imread(str(picture)).shape == cv2.imread(str(PHOTOGRAPH)).shape


def test_a_model_that_gives_results_gives_no_arrays(bundle, tmp_path):
    with pytest.raises(UsageError, match="the model gives results, not arrays"):
        run_verb("predict", str(bundle), str(PHOTOGRAPH), f"arrays={tmp_path / 'out.npz'}")
    assert not (tmp_path / "out.npz").exists()


def test_an_option_is_not_mistaken_for_an_image(bundle):
    with pytest.raises(UsageError, match="predict takes no option 'pictur'") as caught:
        run_verb("predict", str(bundle), str(PHOTOGRAPH), "pictur=drawn.png")
    assert caught.value.fix.startswith("did you mean picture?")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("foo.bar=3",), "predict takes no option 'foo.bar'"),
        (("score_threshold=2",), "'2' is no value of score_threshold"),
    ],
)
def test_what_predict_cannot_take_is_said_as_what_it_is(bundle, words, said):
    with pytest.raises(UsageError, match=said) as caught:
        run_verb("predict", str(bundle), str(PHOTOGRAPH), *words)
    assert caught.value.fix


def test_a_file_in_a_bundle_leads_to_its_folder(bundle):
    with pytest.raises(CompileError) as caught:
        run_verb("predict", str(bundle / "end2end.onnx"), str(PHOTOGRAPH))
    assert caught.value.fix == f"name its folder, {bundle}"


def test_a_bundle_that_is_not_proven_says_so(bundle, capsys, monkeypatch):
    monkeypatch.setattr("compiler.cli.cautions._has_no_problem", lambda report: False)
    monkeypatch.setattr("compiler.report.Report.problem", "beyond its tolerance")
    assert run_verb("predict", str(bundle), str(PHOTOGRAPH)) == 0
    assert capsys.readouterr().err == f"warning: {bundle} is not proven: beyond its tolerance\n"


def test_a_caution_is_one_line_and_floods_no_terminal(capsys):
    with cautions_shown():
        warnings.warn("first\nsecond " + "x" * 10**6, Caution, stacklevel=1)
        warnings.warn("short", Caution, stacklevel=1)
    long, short = capsys.readouterr().err.splitlines()
    assert long.startswith("warning: first\\nsecond xxx")
    assert len(long) < 2 * LONGEST
    assert short == "warning: short"


def test_lists_of_numbers_stand_in_a_line():
    found = [{"names": ["a", "b"], "keypoints": [[1.5, 2.0], [3.0, 4.0]], "inner": {"x": {}}}]
    text = json_text(found)
    assert json.loads(text) == found
    assert '    "keypoints": [[1.5, 2.0], [3.0, 4.0]],\n' in text
    assert json_text([]) == "[]"


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(CompileError) as caught:
        run_verb("predict", str(tmp_path), str(PHOTOGRAPH))
    assert "name the folder that python -m compiler printed" in caught.value.fix


def test_the_limits_of_an_input_are_given_on_the_command_line(bundle, capsys):
    with pytest.raises(CompileError, match="the image is too large") as caught:
        run_verb("predict", str(bundle), str(PHOTOGRAPH), "limits.megapixels=0.3")
    assert caught.value.why == "it is 512 x 600 pixels, 0.3 megapixels, and limits.megapixels is 0.3"
    assert run_verb("predict", str(bundle), str(PHOTOGRAPH), "limits.megapixels=1") == 0
    assert run_verb("predict", str(bundle), str(PHOTOGRAPH), "limits.memory=4", "limits.seconds=60") == 0
    for wrong in ("limits.megapixels=many", "limits.points=1.5", "limits.points=0", "limits.memory=0"):
        with pytest.raises(UsageError) as caught:
            run_verb("predict", str(bundle), str(PHOTOGRAPH), wrong)
        assert caught.value.where == wrong.partition("=")[0]
