"""The files that a bundle was made from, found again by their digests.

The config of a bundle may come from somebody else, and so may every path in it. A path is looked at for one thing: is
it a file whose digest is the one in the lock? What has another is not opened, whatever it is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compiler.artifact import LARGEST_WEIGHTS, Lock, file_digest, require_file
from compiler.checkpoint import OFFICIAL
from compiler.config import CompileConfig
from compiler.errors import CompileError, UsageError
from compiler.pipeline.job import path_digest

CALIBRATION = "calibration.data"
OPTIONS = {"checkpoint": "checkpoint", "input": "input", "box": "box", "model.file": "file", CALIBRATION: "calibration"}
"""The option by which a user names a file, by the key of the config that named it."""


@dataclass(frozen=True)
class Origins:
    """What a bundle was made from, as far as it is known.

    Attributes:
        lock: Of the bundle.
        given: What the user names, by the keys of the config.
        folders: Where files of the config's names may lie, beside where it says.
    """

    lock: Lock
    given: Mapping[str, str]
    folders: tuple[Path, ...]

    def config(self, config: CompileConfig) -> CompileConfig:
        """A bundle's config with the files that it was made from, where they lie here.

        Raises:
            UsageError: Something is given that the bundle was not made from.
            CompileError: One is not here, or is another file than the bundle was made from.
        """
        named = {key: name for key, name in self._named(config).items() if name is not None}
        surplus = [key for key in self.given if key not in named]
        if surplus:
            option = OPTIONS[surplus[0]]
            raise UsageError(f"the bundle was made without {surplus[0]}", where=f"{option}=", fix="leave it out")
        found = {key: self._located(key, name, config) for key, name in named.items()}
        changed: dict[str, Any] = {key: found[key] for key in ("checkpoint", "input", "box") if key in found}
        if "model.file" in found:
            changed["model"] = replace(config.model, file=found["model.file"])
        if CALIBRATION in found:
            changed["calibration"] = replace(config.calibration, data=found[CALIBRATION])
        return replace(config, **changed)

    def _named(self, config: CompileConfig) -> dict[str, str | None]:
        """What a config names; a box is a file where the lock says so."""
        return {
            "checkpoint": config.checkpoint,
            "input": config.input,
            "box": config.box if isinstance(config.box, str) and "box" in self.lock.made_from else None,
            "model.file": config.model.file,
            CALIBRATION: config.calibration.data,
        }

    def _located(self, key: str, name: str, config: CompileConfig) -> str:
        """Where the file of a key lies here."""
        given, wanted = self.given.get(key), self.lock.made_from.get(key)
        if key == CALIBRATION or wanted is None or (given == name == OFFICIAL):
            if given is None:
                raise _missing(key, name, "" if wanted else "an earlier version made it, which kept no digest", config)
            return given  # what it comes to is compared with what it was
        if given is not None:
            _require_same(key, Path(given), wanted)
            return given
        file = Path(config.model.official.url if name == OFFICIAL else name)
        for place in (file, *(folder / file.name for folder in self.folders)):
            if _may_be_hashed(place) and file_digest(place) == wanted:
                return str(place)
        raise _missing(key, name, f"no file {file.name} here has the SHA-256 {wanted[:16]}…", config)


def _may_be_hashed(place: Path) -> bool:
    """Whether a path of somebody else's is a file that has an end: some below /proc have none, and say 0 bytes."""
    try:
        return place.is_file() and 0 < place.stat().st_size <= LARGEST_WEIGHTS
    except OSError:
        return False


def _require_same(key: str, path: Path, wanted: str) -> None:
    if not path.is_dir():
        where = f"{OPTIONS[key]}={path}"
        require_file(path, f"the file of {key}", where=where, largest=LARGEST_WEIGHTS, may_be_empty=True)
    found = path_digest(path)
    if found != wanted:
        raise CompileError(
            "that is not what the bundle was made from",
            where=f"{OPTIONS[key]}={path}",
            why=f"its SHA-256 is {found[:16]}…, and the bundle was made from {wanted[:16]}…",
            fix="give the file that it was made from, or compile this one by a command of its own",
        )


def _missing(key: str, name: str, why: str, config: CompileConfig) -> CompileError:
    url = config.model.official.url
    official = f", or {OPTIONS[key]}={OFFICIAL} to download it from {url}" if name == OFFICIAL else ""
    return CompileError(
        f"what the bundle was made from is not here: {key}",
        where=f"{key}={name}",
        why=why,
        fix=f"give it: {OPTIONS[key]}=<path>{official}",
    )
