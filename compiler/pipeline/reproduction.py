"""Compiling a bundle again from what it says of itself, and what is other then."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from compiler.artifact import LOCK_FILE, Lock, file_digests, read_json, reading, recover_folder
from compiler.artifact.lock import require_unchanged
from compiler.config import CompileConfig
from compiler.config.known_classes import NETWORKS, TAILS, TASKS, check_classes, registered_modules
from compiler.config.plain_yaml import load_checked_yaml
from compiler.config.yaml_files import check_yaml
from compiler.errors import CompileError, ExitCode, UsageError
from compiler.events import Listener
from compiler.pipeline.guards import writable
from compiler.pipeline.job import cache_folder
from compiler.pipeline.origins import Origins
from compiler.pipeline.run import compile_bundle
from compiler.report import Report
from compiler.report.outcome import Outcome
from compiler.report.report import HTML_FILE, JSON_FILE
from compiler.runtime import CONFIG_FILE, read_config
from compiler.runtime.opening import OPENING, Opening
from compiler.stages.package import LOG_FILE

REPRODUCED = "outputs/reproduced"
OF_A_RUN = (LOG_FILE, JSON_FILE, HTML_FILE)
"""Files that hold times and paths of a run, and are others each time."""
PLACES = ("checkpoint", "input", "box", "output", "cache", "cache_limit", "limits", "calibration.data", "model.file")
"""Keys of a config that say where, and not what."""


@dataclass(frozen=True)
class Reproduction:
    """What compiling a bundle again came to.

    Attributes:
        outcome: Of the compile.
        same: Files that are the same byte by byte.
        differing: What differs in files that are not, by their names; those of a run aside.
        versions: Of Python, the compiler and libraries, where they are others: before, and now.
        made_from: What it was made from by the keys of the config, where that is another: the digests before, and now.
    """

    outcome: Outcome
    same: tuple[str, ...]
    differing: Mapping[str, str]
    versions: Mapping[str, tuple[str, str]]
    made_from: Mapping[str, tuple[str, str]]

    @property
    def exit_code(self) -> ExitCode:
        """The same again and proven, or not."""
        is_same = not self.differing and self.outcome.exit_code == ExitCode.PROVEN
        return ExitCode.PROVEN if is_same else ExitCode.NOT_PROVEN

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        told = {name: getattr(self, name) for name in ("same", "differing", "versions", "made_from")}
        made = {"bundle": str(self.outcome.bundle), "problem": self.outcome.problem}
        return {"reproduced": self.exit_code == ExitCode.PROVEN, **made, **told}


def reproduce_bundle(
    bundle: Path,
    listen: Listener = lambda event: None,
    opening: Opening = OPENING,
    *,
    given: Mapping[str, str] | None = None,
    output: str = REPRODUCED,
) -> Reproduction:
    """Compile a bundle again into a folder of its own, with nothing of an earlier compile, and compare both.

    Args:
        bundle: Its folder; nothing is written into it.
        listen: Told what happens while it happens.
        opening: How bundles are opened, and whether code may be run that is not ours and that the config names as the
            network.
        given: Files that it was made from, by the keys of its config; those that are left out are looked for where the
            config says, beside the bundle and in the current folder, by their digests.
        output: Where the new bundle goes, by its name.

    Raises:
        UsageError: The new bundle is there already, or something is given that the bundle was not made from.
        CompileError: The folder is no bundle, was changed, names code, or what it was made from is not here; or it
            cannot be compiled.
    """
    recover_folder(bundle)
    lock = _lock_of_what_is_there(bundle) if opening.trust_changes else require_unchanged(bundle)
    config = read_config(bundle, opening.modules, opening.limits)
    if not opening.network_code:
        require_known_code(config, bundle / CONFIG_FILE, opening.modules)
    folders = (bundle.parent, Path(), cache_folder() / "checkpoints")
    config = replace(Origins(lock, given or {}, folders).config(config), output=output)
    if config.bundle.exists():
        raise UsageError(
            "a bundle of that name is there already", where=str(config.bundle), fix="output=<another folder>"
        )
    config.check()
    with writable(Path(output) / "cache"), TemporaryDirectory(prefix=".reproducing-", dir=output) as cache:
        outcome = compile_bundle(replace(config, cache=cache), listen)
    return _compared(bundle, lock, outcome)


def require_known_code(config: CompileConfig, file: Path, modules: Collection[str]) -> None:
    """Refuse to run code that the config of a bundle names: it may come from somebody else.

    Raises:
        CompileError: It names a class that is neither ours nor registered, or a target that is not.
    """
    model = config.model
    for node, where in ((model.network, "model.network"), (model.tail, "model.tail")):
        check_classes(node, (NETWORKS, TAILS, TASKS), file, where, modules)
    module = model.target.partition(":")[0]
    if module and module not in {*modules, *registered_modules()}:
        raise CompileError(
            "the network of the bundle is code of somebody's own, and is not run",
            where=f"{file}: model.target={model.target}",
            why="the bundle may come from somebody else, and its config says what would be imported",
            fix="if that is your code, say so: --network-code",
        )


def _lock_of_what_is_there(bundle: Path) -> Lock:
    """The lock of a bundle, with the digests that its files have now."""
    return replace(Lock.load(bundle), files=file_digests(bundle, exclude=(LOCK_FILE,)))


def _compared(before: Path, lock: Lock, outcome: Outcome) -> Reproduction:
    now = Lock.load(outcome.bundle)
    names = sorted({*lock.files, *now.files} - set(OF_A_RUN))
    differing = {name: _difference(before, outcome.bundle, name, lock, now) for name in names}
    reports = Report.load(before).versions, Report.load(outcome.bundle).versions
    return Reproduction(
        outcome=outcome,
        same=tuple(name for name, said in differing.items() if not said),
        differing={name: said for name, said in differing.items() if said},
        versions=_others(*reports),
        made_from=_others(lock.made_from, now.made_from) if lock.made_from else {},
    )


def _difference(before: Path, now: Path, name: str, lock: Lock, new_lock: Lock) -> str:
    """What of a file is other, in words; empty where it is the same, or differs in places alone."""
    if name not in lock.files:
        return "is only there now"
    if name not in new_lock.files:
        return "is not there any more"
    if lock.files[name] == new_lock.files[name]:
        return ""
    if not name.endswith((".json", ".yaml")):
        sizes = [(folder / name).stat().st_size for folder in (before, now)]
        return f"is another, of {sizes[1]} bytes after {sizes[0]}" if sizes[0] != sizes[1] else "is another"
    with reading(before / name, f"{name} cannot be compared", fix="compile it again"):
        keys = _other_keys(*(_read(folder / name) for folder in (before, now)))
    others = [key for key in keys if name != CONFIG_FILE or key not in PLACES]
    return f"differs in {', '.join(others)}" if others else ""


def _read(path: Path) -> Any:
    return read_json(path) if path.suffix == ".json" else load_checked_yaml(check_yaml(path))


def _other_keys(a: Any, b: Any, place: str = "") -> list[str]:
    """The places in which two values differ; a list counts as one."""
    if not (isinstance(a, Mapping) and isinstance(b, Mapping)):
        return [] if a == b else [place]
    names = dict.fromkeys([*a, *b])
    return [
        key
        for name in names
        for key in _other_keys(a.get(name), b.get(name), f"{place}.{name}" if place else str(name))
    ]


def _others(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What has another value now, or is there once only."""
    names = dict.fromkeys([*before, *now])
    pairs = {name: (before.get(name, ""), now.get(name, "")) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
