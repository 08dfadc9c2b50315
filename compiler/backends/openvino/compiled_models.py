"""What OpenVINO makes of an engine when it opens it, kept for the next time in a folder of the user's own.

OpenVINO finds such a file by a hash that a stranger could meet, and computes with whatever numbers it holds. So every
engine has a folder of its own, by the digest of all that it is, and what lies there is held to the digest that it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from compiler.artifact import digest, file_digest, file_digests, read_json, remove, write_json
from compiler.artifact.input_files import changed
from compiler.artifact.reading import reason
from compiler.errors import CompileError

FOLDER = "openvino"
DIGESTS = "digests.json"
MOST = 32
"""Engines whose compiled models are kept: those that were opened last."""


@contextmanager
def compiled_models(cache: Path, files: Mapping[str, Path], made_for: Mapping[str, str]) -> Iterator[Path]:
    """A folder for the compiled models of one engine: empty, or with what an earlier run left there.

    Args:
        cache: The user's own.
        files: Of the engine, by name.
        made_for: The machine and what else the model is compiled for, by name.

    Raises:
        CompileError: The cache cannot be written, or the engine is another by the time that it is compiled.
    """
    digests = _digests(files)
    root = cache / FOLDER
    folder = root / digest({"files": digests, "made for": dict(made_for)})[:32]
    with ExitStack() as stack:
        with _writing(root):
            root.mkdir(parents=True, exist_ok=True)
            stack.enter_context(_locked(folder))
            if not _is_whole(folder):
                remove(folder)
                folder.mkdir()
        yield folder
        if _digests(files) != digests:
            remove(folder)
            raise changed(str(next(iter(files.values()))), "the engine")
        with _writing(root):
            write_json(folder / DIGESTS, file_digests(folder, exclude=(DIGESTS,)))
    _trim(root)


def _digests(files: Mapping[str, Path]) -> dict[str, str]:
    return {name: file_digest(path) for name, path in files.items()}


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Around what fails where the folder that the user named is none, or another's."""
    try:
        yield
    except (OSError, NotImplementedError) as error:  # the second where a file system has no locks
        what = "the folder for compiled models cannot be written"
        fix = "name a folder of yours with cache=<folder>; a bundle is opened without one, too"
        raise CompileError(what, where=str(root), why=reason(error), fix=fix) from error


@contextmanager
def _locked(folder: Path, timeout: float = -1) -> Iterator[None]:
    """A time in which no other process uses a folder.

    Lock files stay, since removing one that somebody waits for gives two the lock: so there are few, shared by names.

    Raises:
        filelock.Timeout: Another process uses it for longer.
    """
    from filelock import FileLock

    with FileLock(folder.with_name(f"{folder.name[:2]}.lock"), timeout=timeout):
        yield


def _is_whole(folder: Path) -> bool:
    """Whether all that lies in a folder is what was left there."""
    with suppress(CompileError, OSError):
        return bool(file_digests(folder, exclude=(DIGESTS,)) == read_json(folder / DIGESTS))
    return False


def _trim(root: Path) -> None:
    """Remove what was opened longest ago, but for what another process uses or has opened meanwhile."""
    from filelock import Timeout

    with suppress(OSError):
        opened = {folder: _opened(folder) for folder in root.iterdir() if folder.is_dir()}
        for folder in sorted(opened, key=lambda one: opened[one], reverse=True)[MOST:]:
            with suppress(OSError, Timeout), _locked(folder, timeout=0):
                if _opened(folder) == opened[folder]:
                    remove(folder)


def _opened(folder: Path) -> float:
    """When a folder's engine was opened last; or began to be, where that failed."""
    digests = folder / DIGESTS
    return (digests if digests.exists() else folder).stat().st_mtime
