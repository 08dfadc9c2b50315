"""A compile for Core ML: what is said of an engine that was interpreted, and a bundle whose engine is a folder."""

import json
import shutil
import sys

import pytest

from compiler import runtime
from compiler.artifact import LOCK_FILE
from compiler.backends.coreml.backend import PACKAGE
from compiler.errors import CompileError, ExitCode
from compiler.report import Report
from tests.compiling import compile_here
from tests.small_network import small_network
from tests.without_torch import without_torch


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Not to be changed."""
    pytest.importorskip("coremltools")
    if sys.platform == "darwin":
        pytest.skip("Core ML runs it here")
    folder = tmp_path_factory.mktemp("coreml")
    with small_network(folder, "network_for_core_ml") as network:
        found, _ = compile_here(folder, folder / "cache", "backend=coreml", *network)
    return found


@pytest.fixture
def bundle(outcome, tmp_path):
    return shutil.copytree(outcome.bundle, tmp_path / "bundle")


def test_an_interpreted_engine_is_compared_and_is_said_to_be_that_and_no_more(outcome):
    engine = outcome.proofs[-1]
    assert engine.stage == "engine (coreml, interpreted)"
    assert engine.within
    assert engine.weakest.numbers > 0
    assert outcome.exit_code == ExitCode.NOT_PROVEN
    assert outcome.problem.startswith("the engine was built and not run: Core ML is a part of macOS")
    assert outcome.problem.endswith(
        "the operations that its files hold were interpreted, which proves them and no device"
    )
    assert Report.load(outcome.bundle).pictures[-1] == "output_coreml.jpg"


def test_each_file_of_the_engines_folder_is_locked(outcome, bundle):
    files = json.loads((bundle / LOCK_FILE).read_text())["files"]
    inside = [name for name in files if name.startswith(f"{PACKAGE}/")]
    assert f"{PACKAGE}/Manifest.json" in inside
    assert len(inside) == sum(path.is_file() for path in (bundle / PACKAGE).rglob("*"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda package: next(package.rglob("*.mlmodel")).write_bytes(b"other"), "was changed"),
        (lambda package: (package / "added.bin").write_bytes(b""), "added.bin was added"),
        (lambda package: (package / "Manifest.json").unlink(), "Manifest.json is missing"),
    ],
)
def test_a_package_that_was_changed_is_not_opened(bundle, change, said):
    change(bundle / PACKAGE)
    with pytest.raises(CompileError, match="the bundle is not as it was made") as caught:
        runtime.open(bundle)
    assert said in caught.value.why


def test_it_is_not_opened_where_there_is_no_core_ml(bundle):
    with pytest.raises(CompileError, match=r"end2end\.mlpackage cannot be run here") as caught:
        runtime.open(bundle)
    assert "Core ML is a part of macOS" in caught.value.why


OPEN_AS_ON_MACOS = """
from compiler import runtime
import coremltools
sys.platform = "darwin"
print(runtime.open(sys.argv[1]).engine.file)
"""


def test_coremltools_opens_it_without_torch(bundle):
    """Without macOS it opens a package all the same, and runs none."""
    run = without_torch(OPEN_AS_ON_MACOS, bundle)
    assert run.stdout.strip() == PACKAGE, run.stderr


def test_where_there_is_no_core_ml_a_process_without_torch_says_so_too(bundle):
    run = without_torch("from compiler import runtime; runtime.open(sys.argv[1])", bundle)
    assert "end2end.mlpackage cannot be run here" in run.stderr
    assert "was imported" not in run.stderr
