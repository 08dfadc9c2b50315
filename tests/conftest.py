"""What the tests share: the command line as a user runs it, and one compiled bundle."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.progress import Progress

# How fast a machine is says nothing about an example; and what fails, fails again.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

REPOSITORY = Path(__file__).parents[1]
PHOTOGRAPH = REPOSITORY / "compiler/tasks/photographs/grace_hopper.jpg"
NAME = "pose-detection_simcc_onnxruntime_dynamic_256x192"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the process that hands out the tests
        config.pluginmanager.register(Progress(config))


@dataclass(frozen=True)
class CommandLine:
    """Runs `python -m compiler` as a user does, in a folder of its own."""

    folder: Path

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments), cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def start_with_input(self, *arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*arguments), cwd=self.folder, stdin=pipe, stdout=pipe, text=True)

    @staticmethod
    def command(*arguments: str) -> list[str]:
        return [sys.executable, "-m", "compiler", *arguments]


@dataclass(frozen=True)
class CommandLineHere(CommandLine):
    """The same in the process of the test, which is seconds quicker: for what is not about the process itself."""

    def __call__(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        from compiler.__main__ import main

        printed, told = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(told):
            patch.chdir(self.folder)
            patch.syspath_prepend(self.folder)
            patch.setattr(sys, "dont_write_bytecode", True)  # a module may be written twice in one second
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                status = main(arguments)
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                self._forget()
        texts = (stream.buffer.getvalue().decode() for stream in (printed, told))  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(self.command(*arguments), status, *texts)

    def _forget(self) -> None:
        """Let the next command import the user's modules anew, as another process does."""
        own = [name for name, module in sys.modules.items() if self._is_own(getattr(module, "__file__", None))]
        for name in own:
            del sys.modules[name]

    def _is_own(self, file: str | None) -> bool:
        return file is not None and Path(file).is_relative_to(self.folder)


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that whichever process of the suite comes first fills; the others wait for it. Not to be changed."""
    made = folder / ".made"
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if not made.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests and the processes that run them."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def shared_cache(shared_folder: Path) -> Path:
    """A stage cache for all tests and the processes that run them, so that each network is exported once."""
    return shared_folder / "cache"


@pytest.fixture(autouse=True)
def seeded_alike() -> None:
    """Let a test draw the same networks and inputs, whichever tests came before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def parity() -> Path:
    """What the originals computed."""
    return REPOSITORY / "tests" / "parity"


@pytest.fixture
def command_line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> CommandLineHere:
    return CommandLineHere(tmp_path)


@pytest.fixture
def trials_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first run of an ONNX file be in this process; `tests/graphs/test_trial.py` tests that of its own."""
    from compiler.sources import onnx_file
    from tests.trials import TrialHere

    monkeypatch.setattr(onnx_file, "Trial", TrialHere)


@pytest.fixture(scope="session")
def outputs(shared_folder: Path, shared_cache: Path) -> Path:
    """The output folder of one run of the README's first command."""

    def make(folder: Path) -> None:
        run = CommandLine(folder)("+backend=onnxruntime", "+model=rtmpose", f"cache={shared_cache}")
        assert run.returncode == 0, run.stdout + run.stderr

    return made_once(shared_folder / "run", make) / "outputs"


@pytest.fixture(scope="session")
def bundle(outputs: Path) -> Path:
    """RTMPose-m for ONNX Runtime, compiled from random weights. Not to be changed."""
    return outputs / "rtmpose" / NAME
