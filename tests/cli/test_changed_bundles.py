"""The verbs on bundles: what was changed is refused, signed and checked as the command line says."""

from __future__ import annotations

import json
import sys

import pytest

from compiler.artifact import write_json
from compiler.cli.cautions import warn_unless_proven
from compiler.config.limits import Limits
from compiler.errors import CompileError, ExitCode, UsageError
from tests.bundles import lock_again, small_bundle
from tests.cli.running import run_verb
from tests.conftest import PHOTOGRAPH

WORDS = "the bundle is not as it was made"


@pytest.fixture
def pose(tmp_path):
    return small_bundle(tmp_path / "pose", "pose")


def edit(bundle, name):
    (bundle / name).write_text((bundle / name).read_text() + "\n")


def test_predict_takes_changes_where_they_are_trusted(pose, capsys):
    edit(pose, "config.yaml")
    with pytest.raises(CompileError, match=WORDS):
        run_verb("predict", str(pose), str(PHOTOGRAPH))
    assert run_verb("predict", str(pose), str(PHOTOGRAPH), "--trust-changes") == ExitCode.PROVEN
    assert json.loads(capsys.readouterr().out)


def test_a_report_that_was_changed_says_nothing_of_the_bundle(pose, capsys):
    report = json.loads((pose / "report.json").read_text())
    write_json(pose / "report.json", {**report, "unproven": "nobody ran it"})
    warn_unless_proven(pose, trust_changes=False)
    assert not capsys.readouterr().err
    warn_unless_proven(pose, trust_changes=True)
    assert capsys.readouterr().err == f"warning: {pose} is not proven: nobody ran it\n"
    lock_again(pose)
    warn_unless_proven(pose, trust_changes=False)
    assert "nobody ran it" in capsys.readouterr().err


def test_both_bundles_of_a_text_are_asked_whether_they_are_proven(pose, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("compiler.cli.predict.warn_unless_proven", lambda bundle, trust: asked.append(bundle))
    with pytest.raises(CompileError):
        run_verb("predict", str(pose), str(pose), str(PHOTOGRAPH))  # no text in poses
    assert asked == [pose, pose]


def test_a_build_names_every_file_that_is_not_as_it_was_made(tmp_path):
    bundle = small_bundle(tmp_path / "tensorrt", "tensorrt")
    (bundle / "pipeline.json").unlink()
    edit(bundle, "detail.json")
    with pytest.raises(CompileError, match=WORDS) as caught:
        run_verb("build", str(bundle))
    assert set(caught.value.why.split(", ")) == {"pipeline.json is missing", "detail.json was changed"}


def test_the_input_of_a_build_may_cost_what_the_command_line_says(monkeypatch):
    given = {}
    monkeypatch.setattr("compiler.pipeline.build_bundle", lambda *args, **options: given.update(options) or given["x"])
    with pytest.raises(KeyError):
        run_verb("build", "bundle", "limits.megapixels=400")
    assert given["limits"] == Limits(megapixels=400)
    with pytest.raises(UsageError, match="must be from"):
        run_verb("build", "bundle", "limits.megapixels=0")


def test_explain_looks_at_the_report_alone(pose, capsys):
    edit(pose, "config.yaml")
    assert run_verb("explain", str(pose)) == ExitCode.PROVEN
    edit(pose, "report.json")
    with pytest.raises(CompileError, match=WORDS) as caught:
        run_verb("explain", str(pose))
    assert caught.value.why == "report.json was changed"
    assert run_verb("explain", str(pose), "--trust-changes") == ExitCode.PROVEN
    assert "nearest_to_bilinear" in capsys.readouterr().out


def test_check_without_a_key_tells_what_it_does_not_know(pose, capsys):
    assert run_verb("check", str(pose)) == ExitCode.PROVEN
    printed = capsys.readouterr().out
    assert "files are as lock.json says" in printed
    assert "is not known without key=" in printed


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda bundle: edit(bundle, "deploy.json"), "deploy.json was changed"),
        (lambda bundle: (bundle / "deploy.json").unlink(), "deploy.json is missing"),
        (lambda bundle: (bundle / "stray.txt").touch(), "stray.txt was added"),
    ],
)
def test_check_looks_at_every_file_and_sign_signs_none_but_what_was_made(pose, tmp_path, change, why):
    change(pose)
    for words in (["check", str(pose)], ["sign", str(pose), "key=private.pem"]):
        with pytest.raises(CompileError, match=WORDS) as caught:
            run_verb(*words)
        assert caught.value.why == why
        assert caught.value.exit_code == ExitCode.FAILED


def test_a_bundle_is_signed_and_checked_and_opens_as_before(pose, tmp_path, capsys):
    pytest.importorskip("model_signing.signing")
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    public = key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "private.pem").write_bytes(private)
    (tmp_path / "public.pem").write_bytes(public)
    assert run_verb("sign", str(pose), f"key={tmp_path / 'private.pem'}") == ExitCode.PROVEN
    assert str(tmp_path / "pose.sig") in capsys.readouterr().out
    assert run_verb("check", str(pose), f"key={tmp_path / 'public.pem'}") == ExitCode.PROVEN
    assert "what was signed with this key" in capsys.readouterr().out
    assert run_verb("explain", str(pose)) == ExitCode.PROVEN


def test_sign_without_a_key_is_wrong_usage(pose):
    with pytest.raises(UsageError, match="sign needs a private key"):
        run_verb("sign", str(pose))


def test_check_with_a_key_and_without_the_extra_says_what_to_install(pose, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "model_signing.verifying", None)
    (tmp_path / "public.pem").touch()
    with pytest.raises(CompileError, match="model-signing is not installed"):
        run_verb("check", str(pose), f"key={tmp_path / 'public.pem'}")


@pytest.mark.parametrize("verb", ["predict", "explain", "check", "build"])
def test_a_link_out_of_the_bundle_is_one_message(here, pose, tmp_path, verb):
    for name in ("config.yaml", "report.json"):
        (pose / name).unlink()
        (pose / name).symlink_to("/etc/passwd")
    run = here(verb, str(pose), *([str(PHOTOGRAPH)] if verb == "predict" else []))
    assert run.returncode == ExitCode.FAILED
    assert run.stderr.startswith("error: a bundle holds files of its own, and nothing else\n")
    assert "root:" not in run.stdout + run.stderr


def test_a_box_of_a_build_needs_an_input(pose):
    with pytest.raises(UsageError, match="a box is somewhere in an input"):
        run_verb("build", str(pose), "box=1,2,3,4")


def test_a_bundle_that_is_proven_is_told_without_the_proofs_of_its_report(pose, monkeypatch, capsys):
    monkeypatch.setattr("compiler.report.Report.load", lambda bundle: pytest.fail("its report was read whole"))
    warn_unless_proven(pose, trust_changes=False)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report["proofs"][0].update(within=False),
        lambda report: report["ledger"][0].update(holds=False, max_absolute_error=1.0),
        lambda report: report.update(unproven="nobody ran it"),
    ],
)
def test_whatever_in_a_report_is_beyond_its_bound_is_told(pose, change, capsys):
    report = json.loads((pose / "report.json").read_text())
    change(report)
    write_json(pose / "report.json", report)
    warn_unless_proven(pose, trust_changes=True)
    assert f"warning: {pose} is not proven: " in capsys.readouterr().err
