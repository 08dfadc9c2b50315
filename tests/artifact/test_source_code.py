"""Somebody's own code counts by what was really loaded: with all that it imports, from wherever, and nothing else."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from compiler.artifact.source_code import (
    any_user_code,
    code_contents,
    code_digest,
    import_recorded,
    imported_by_name,
    recorded_imports,
)
from compiler.errors import CompileError
from compiler.stages.tools import class_digest


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder that modules are imported from; what is imported in a test is forgotten after it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(folder: Path, **sources: str) -> None:
    """Write modules; two underscores in a name stand for a folder."""
    for name, source in sources.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    importlib.invalidate_caches()


@pytest.mark.parametrize(
    "statement",
    [
        "import own_helper",
        "from own_helper import width",
        "def later():\n    import own_helper",
        "try:\n    from own_helper import width as w\nexcept ImportError:\n    pass",
        "import importlib\nhelper = importlib.import_module('own_helper')",
        "helper = __import__('own_helper')",
        "import own_between",
    ],
)
@pytest.mark.parametrize("is_loaded", [False, True])
def test_what_a_module_imports_counts_whether_it_has_imported_it_yet_or_not(project, statement, is_loaded):
    def digests(width: int) -> list[str]:
        write(project, own_nets=statement, own_between="import own_helper", own_helper=f"width = {width}")
        if is_loaded:
            for name in [name for name in sys.modules if name.startswith("own_")]:
                del sys.modules[name]
            import_recorded("own_nets")
        return [code_digest(["own_nets"]), code_digest(["own_nets"])]

    first, again = digests(1)
    assert first == again
    assert digests(1)[0] == first, "written again, and the same"
    assert digests(2)[0] != first


def test_what_it_does_not_import_does_not_count(project):
    write(project, own_nets="import own_helper", own_helper="", own_other="")
    assert code_contents(["own_nets"]).keys() == {"own_nets", "own_helper"}


def test_a_file_that_was_touched_is_the_same(project):
    write(project, own_nets="import own_helper", own_helper="")
    before = code_digest(["own_nets"])
    os.utime(project / "own_helper.py", (1, 1))
    assert code_digest(["own_nets"]) == before


@pytest.mark.parametrize("is_loaded", [False, True])
def test_packages_with_and_without_a_file_of_their_own(project, is_loaded):
    write(
        project,
        own_space__nets="from . import helper\nfrom .deep.inner import width",
        own_space__helper="",
        own_space__deep__inner="width = 1",
        own_regular__="",
    )
    (project / "own_regular/.py").rename(project / "own_regular/__init__.py")
    write(project, own_regular__nets="from ..outside import nothing\nfrom own_space import nets, missing")
    if is_loaded:
        import_recorded("own_space.nets")
    assert code_contents(["own_regular.nets"]).keys() == {
        "own_regular",
        "own_regular.nets",
        "own_space.nets",
        "own_space.helper",
        "own_space.deep.inner",
    }


def test_helpers_of_other_folders_and_behind_links(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere, own_far="width = 1", own_linked="width = 1")
    (project / "own_linked.py").symlink_to(elsewhere / "own_linked.py")
    write(project, own_nets=f"import sys\nsys.path.append({str(elsewhere)!r})\nimport own_far, own_linked")
    import_recorded("own_nets")
    assert code_contents(["own_nets"]).keys() == {"own_nets", "own_far", "own_linked"}


def test_a_helper_in_an_archive_counts_by_the_archive(project, monkeypatch):
    def digest_of(source: str) -> str:
        with zipfile.ZipFile(project / "own.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("own_zipped.py"), source)
        sys.path_importer_cache.clear()
        return code_digest(["own_nets"])

    write(project, own_nets="import own_zipped")
    monkeypatch.syspath_prepend(project / "own.zip")
    assert digest_of("width = 1") == digest_of("width = 1") != digest_of("width = 2")


def test_a_compiled_extension_counts_by_its_file(project):
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    write(project, own_nets="import own_compiled")
    (project / f"own_compiled{suffix}").write_bytes(b"machine code")
    before = code_digest(["own_nets"])
    (project / f"own_compiled{suffix}").write_bytes(b"machine code, newer")
    assert code_digest(["own_nets"]) != before


def test_what_is_installed_counts_by_its_version_and_pythons_own_not_at_all(project):
    write(
        project, own_nets="import json, os.path, numpy as np\nfrom numpy import linalg\nimport compiler.errors, nowhere"
    )
    found = code_contents(["own_nets"])
    assert found.keys() == {"own_nets", "numpy"}
    assert found["numpy"] == version("numpy")


def installed(folder: Path, version: str) -> Path:
    """Install a package of one module; return that."""
    packages = folder / "site-packages"
    metadata = packages / f"own_installed-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: own-installed\nVersion: {version}\n")
    (metadata / "top_level.txt").write_text("own_installed\n")
    write(packages, own_installed="import own_loose", own_loose="")
    return packages / "own_installed.py"


def test_an_installed_module_is_not_read(project, tmp_path_factory, monkeypatch):
    module = installed(tmp_path_factory.mktemp("environment"), "1.2")
    monkeypatch.syspath_prepend(module.parent)
    write(project, own_nets="import own_installed")
    assert code_contents(["own_nets"]).keys() == {"own_nets", "own_installed"}
    before = code_digest(["own_nets"])
    module.write_text("changed = True")
    assert code_digest(["own_nets"]) == before
    assert code_contents(["own_loose"]).keys() == {"own_loose"}, "what no package brought there has no version"


def test_ours_and_pythons_own_are_nothing():
    assert code_digest(["compiler.errors", "rewriters.registry", "json", "builtins", "nowhere.at.all"]) == ""
    assert not any_user_code(["compiler.errors", "json", "nowhere"])


def test_a_module_that_is_called_like_one_of_pythons_counts(project):
    write(project, antigravity="")
    assert any_user_code(["antigravity"])


def test_what_counts_of_a_loaded_module_is_what_was_loaded(project):
    """A file that was saved after the import is not what runs, and not what a result may be kept under."""
    write(project, own_nets="import own_helper", own_helper="width = 1")
    import_recorded("own_nets")
    loaded = code_digest(["own_nets"])
    write(project, own_helper="width = 2")
    assert code_digest(["own_nets"]) == loaded
    del sys.modules["own_helper"]
    assert code_digest(["own_nets"]) != loaded


def test_code_that_python_compiled_of_another_source_is_not_run(project):
    """Python takes a source of the same size and second for the one that it compiled before."""
    write(project, own_helper="width = 1")
    os.utime(project / "own_helper.py", (1e9, 1e9))
    importlib.import_module("own_helper")
    del sys.modules["own_helper"]
    write(project, own_helper="width = 2")
    os.utime(project / "own_helper.py", (1e9, 1e9))
    assert import_recorded("own_helper").width == 2


def test_what_is_imported_by_a_name_that_only_running_it_tells(project):
    write(
        project,
        own_nets="import importlib\nimport own_static\nhelper = importlib.import_module('own' + '_helper')",
        own_static="",
        own_helper="import own_deeper",
        own_deeper="",
    )
    import_recorded("own_nets")
    assert imported_by_name() == {"own_helper", "own_deeper"}


def test_modules_are_recorded_only_within_the_block(project):
    write(project, own_inside="", own_outside="")
    with recorded_imports():
        importlib.import_module("own_inside")
    importlib.import_module("own_outside")
    assert imported_by_name() == {"own_inside"}
    assert not any(type(finder).__name__ == "_Recorder" for finder in sys.meta_path)


def test_a_source_that_cannot_be_parsed_counts_and_imports_nothing(project):
    write(project, own_nets="import own_helper\ndef")
    assert code_contents(["own_nets"]).keys() == {"own_nets"}


HELD = """
import functools
def wrapped(function):
    return functools.wraps(function)(lambda *given: function(*given))
def plain(x): return x * 1
class Net:
    factor = 1
    def forward(self, x): return x * 2
    @staticmethod
    def static(x): return x * 3
    @property
    def size(self): return 4
    @functools.lru_cache
    def kept(self): return 5
    @wrapped
    def decorated(self): return 6
    class Inner:
        def forward(self): return [7 for _ in "x"]
"""


@pytest.mark.parametrize("edited", ["x * 1", "x * 2", "x * 3", "return 4", "return 5", "return 6", "return [7"])
def test_a_file_that_was_changed_after_a_notebook_imported_it_is_refused(project, edited):
    write(project, own_nets=HELD)
    importlib.import_module("own_nets")
    code_digest(["own_nets"])
    write(project, own_nets=HELD.replace(edited, edited + "0"))
    with pytest.raises(CompileError, match="changed after it was imported"):
        code_digest(["own_nets"])
    del sys.modules["own_nets"]
    importlib.import_module("own_nets")
    assert code_digest(["own_nets"]), "imported anew, it is the file"


def test_a_file_in_which_nothing_that_runs_was_changed_is_what_was_imported(project):
    write(project, own_nets=HELD)
    importlib.import_module("own_nets")
    write(project, own_nets=HELD + "# a remark")
    assert code_digest(["own_nets"])


@pytest.mark.parametrize(
    "statement",
    [
        "from importlib import import_module as load\nhelper = load('own_helper')",
        "import importlib\nload = importlib.import_module\nhelper = load('own_helper')",
    ],
)
def test_a_function_that_imports_counts_under_any_name(project, statement):
    write(project, own_nets=statement, own_helper="")
    assert "own_helper" in code_contents(["own_nets"])
    write(project, own_nets="from json import loads as load\nload('own_helper')")
    assert "own_helper" not in code_contents(["own_nets"])


def test_the_class_of_a_backend_counts_with_what_only_running_it_imports(project):
    write(project, own_tool="from importlib import import_module\nimport_module('own' + '_helper')\nclass Tool: pass")

    def found(helper: str) -> str:
        for name in ("own_tool", "own_helper"):
            sys.modules.pop(name, None)
        write(project, own_helper=helper)
        return class_digest(import_recorded("own_tool").Tool)

    assert found("width = 1") == found("width = 1") != found("width = 2")
    assert class_digest(CompileError) == ""
