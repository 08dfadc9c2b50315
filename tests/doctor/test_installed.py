"""Which of the compiler's extras are whole, by what its metadata asks for."""

from __future__ import annotations

from packaging.requirements import Requirement

from compiler.doctor import installed
from compiler.doctor.installed import extras, extras_of, libraries

WANTED = [
    Requirement("numpy>=1.26"),
    Requirement("torch>=2.9 ; extra == 'compile'"),
    Requirement("onnx>=1.19 ; extra == 'compile'"),
    Requirement("coremltools>=9 ; (sys_platform != 'nowhere') and extra == 'coreml'"),
    Requirement("tensorrt ; (sys_platform == 'nowhere') and extra == 'tensorrt'"),
    Requirement("pytest ; extra == 'test'"),
]
NAMES = ("compile", "coreml", "tensorrt", "test")


def found(monkeypatch, **versions):
    monkeypatch.setattr(installed, "installed_version", lambda name: versions.get(name, ""))
    return {one.name: one for one in extras_of(NAMES, WANTED)}


def test_what_is_missing_is_named_with_what_installs_it(monkeypatch):
    one = found(monkeypatch, numpy="2.0", torch="2.13.0+cpu", coremltools="9.0")["compile"]
    assert one.missing == ("onnx",)
    assert one.install == "pip install 'deploy-compiler[compile]'"


def test_a_version_that_will_not_do_is_missing_too(monkeypatch):
    assert found(monkeypatch, torch="2.3", onnx="1.19.0")["compile"].missing == ("torch>=2.9 (2.3 is installed)",)


def test_what_is_not_for_this_machine_or_for_no_user_is_left_out(monkeypatch):
    listed = found(monkeypatch)
    assert listed["tensorrt"].missing == ()
    assert listed["coreml"].missing == ("coremltools",)
    assert "test" not in listed


def test_without_its_metadata_no_extra_is_known(monkeypatch):
    monkeypatch.setattr(installed, "DISTRIBUTION", "deploy-compiler-that-nobody-has")
    assert extras() == ()
    assert libraries(["numpy"])["deploy-compiler-that-nobody-has"] == ""
