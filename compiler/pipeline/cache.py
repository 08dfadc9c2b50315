"""The stage cache: finished stages, kept by the digest of everything that went into them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compiler.artifact import digest, file_digests, read_json, remove, write_json
from compiler.errors import CompileError
from compiler.stages.stage import DONE, Observations

IN_USE_SECONDS = 3600.0
"""A stage that was used since may be what another process is reading."""


@dataclass(frozen=True)
class Finished:
    """A finished stage.

    Attributes:
        folder: Its files; never changed again.
        cached: Whether it had been made before.
        seconds: How long it took to make.
        detail: What came out, in a few words.
        read: What was read for it beside its key, by name.
    """

    folder: Path
    cached: bool
    seconds: float
    detail: str
    read: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of all that the stage depended on: its key, and what was read. The name of its folder says both."""
        return self.folder.name


@dataclass(frozen=True)
class Cache:
    """A folder of finished stages, shared by any number of processes.

    A stage is made beside its place and renamed, so a killed process leaves nothing half made; a lock for each key
    keeps two processes from making the same stage twice; a stage whose files were damaged is made again.
    """

    root: Path

    def get(
        self, stage: str, key: object, make: Callable[[Path], str], observations: Observations | None = None
    ) -> Finished:
        """A stage's folder, made by `make(folder)` if it is not there yet.

        Args:
            stage: Its name, for whoever looks into the cache.
            key: Everything that the result is known to depend on; JSON-able.
            make: Fills the empty folder it is given, and says in a few words what came out.
            observations: What else it looks at while it is made. A result is found again where all that was read
                for it is the same still; several may be kept for one key.
        """
        from filelock import FileLock

        name = f"{stage}-{digest(key)[:32]}"
        found = self._find(name, observations)
        if found is not None:
            return found
        self.root.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / f"{name}.lock"):
            return self._find(name, observations) or self._make(name, make, observations)

    def trim(self, limit: float) -> None:
        """Remove the stages that were used longest ago, until the others take up at most `limit` bytes.

        A stage that was used within the last hour is kept whatever it takes up.
        """
        used = sorted(self.root.glob(f"*/{DONE}"), key=_last_use, reverse=True)
        total = 0
        for done in used:
            total += _size(done.parent)
            if total > limit and time.time() - _last_use(done) > IN_USE_SECONDS:
                with suppress(OSError):
                    remove(done.parent)

    def _find(self, name: str, observations: Observations | None) -> Finished | None:
        if observations is None:
            return _whole(self.root / name)
        for folder in sorted(self.root.glob(f"{name}-*")):
            record = _record(folder)
            if record is not None and observations.still_holds(record["read"]) and (found := _whole(folder)):
                return found
        return None

    def _make(self, name: str, make: Callable[[Path], str], observations: Observations | None) -> Finished:
        partial = self.root / f"{name}.partial"
        remove(partial)
        partial.mkdir()
        start = time.perf_counter()
        try:
            detail = make(partial)
            seconds = time.perf_counter() - start
            read = {} if observations is None else dict(observations.read)
            folder = self.root / (name if observations is None else f"{name}-{digest(read)[:8]}")
            record = {"version": 1, "seconds": seconds, "detail": detail, "read": read}
            write_json(partial / DONE, {**record, "files": file_digests(partial)})
            remove(folder)
            partial.rename(folder)
        finally:
            with suppress(OSError):
                remove(partial)
        return Finished(folder, cached=False, seconds=seconds, detail=detail, read=read)


def _record(folder: Path) -> dict[str, Any] | None:
    """What a finished stage says of itself; None where it is missing, damaged, or just being made again."""
    try:
        record = read_json(folder / DONE)
    except CompileError:
        return None
    known = {"seconds": float, "detail": str, "read": dict, "files": dict}
    is_record = isinstance(record, dict) and all(isinstance(record.get(key), kind) for key, kind in known.items())
    return record if is_record and math.isfinite(record["seconds"]) else None


def _whole(folder: Path) -> Finished | None:
    record = _record(folder)
    try:
        if record is None or file_digests(folder, exclude=(DONE,)) != record["files"]:
            return None
    except (OSError, CompileError):  # just being made again, or with a link in it that leads elsewhere
        return None
    with suppress(OSError):  # a cache that may only be read is used all the same
        os.utime(folder / DONE)
    return Finished(folder, True, record["seconds"], record["detail"], record["read"])


def _size(folder: Path) -> int:
    """How many bytes lie below a folder; none where another process is removing it."""
    try:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    except OSError:
        return 0


def _last_use(done: Path) -> float:
    """When a stage was last used; long ago where another process is removing it."""
    try:
        return done.stat().st_mtime
    except OSError:
        return 0.0
