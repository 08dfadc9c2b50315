"""How many published configs are read as MMEngine reads them: `python -m tests.openmmlab.agreement`.

MMEngine runs in an environment of its own, in one process for all files.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compiler.errors import CompileError
from compiler.openmmlab.reader import read_config
from tests.environments import make_environment
from tests.openmmlab.wheels import VERSIONS, published_configs, wheel_configs

REFERENCE = Path(__file__).with_name("mmengine_reference.py")
# What reading a config takes of what MMEngine would have pip install.
REQUIREMENTS = ("mmengine==0.10.7", "addict", "numpy", "packaging", "platformdirs", "pygments", "pyyaml", "rich")


@dataclass
class Agreement:
    """What became of a package's configs.

    Attributes:
        same: Read alike by both, and how many.
        refused: By us and by MMEngine: what MMEngine says, by the config's path.
        unread: Read by MMEngine alone: what we say.
        different: Read by both, with another result: where the first difference is.
    """

    same: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    different: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> int:
        return self.same + len(self.refused) + len(self.unread) + len(self.different)


def agreement(python: Path, folder: Path) -> dict[str, Agreement]:
    """Return, for each package, how its configs compare with what MMEngine in another interpreter reads."""
    packages = {package: wheel_configs(package) for package in VERSIONS}
    reference = folder / "reference.pickle"
    request = {
        "packages": {name: str(configs.parents[1]) for name, configs in packages.items()},
        "files": [str(path) for package in packages for path in published_configs(package)],
    }
    subprocess.run([python, REFERENCE, reference], input=json.dumps(request), text=True, check=True, timeout=300)
    read = pickle.loads(reference.read_bytes())
    return {package: _compare(package, packages, read) for package in packages}


def _compare(package: str, packages: dict[str, Path], read: dict[str, Any]) -> Agreement:
    result = Agreement()
    for path in published_configs(package):
        name = path.relative_to(packages[package]).as_posix()
        reference = read[str(path)]
        try:
            mine = read_config(path, packages)
        except CompileError as error:
            (result.refused if "error" in reference else result.unread)[name] = reference.get("error", error.why)
            continue
        if "error" in reference:
            result.different[name] = f"only MMEngine refuses it: {reference['error']}"
        elif difference := first_difference(mine, reference["config"]):
            result.different[name] = difference
        else:
            result.same += 1
    return result


def first_difference(mine: Any, reference: Any, place: str = "config") -> str:
    """Return where two values differ first, or nothing if they do not. 1, 1.0 and True differ.

    A set of MMEngine's is a list here.
    """
    if isinstance(reference, set):
        reference = sorted(reference, key=repr)
    if type(mine) is not type(reference):
        return f"{place}: {mine!r:.80} here, {reference!r:.80} by MMEngine"
    if isinstance(mine, dict):
        if mine.keys() != reference.keys():
            return f"{place}: the keys {sorted(mine.keys() ^ reference.keys())} are on one side only"
        pairs = [(f"{place}.{key}", mine[key], reference[key]) for key in mine]
    elif isinstance(mine, (list, tuple)):
        if len(mine) != len(reference):
            return f"{place}: {len(mine)} elements here, {len(reference)} by MMEngine"
        pairs = [(f"{place}[{i}]", *both) for i, both in enumerate(zip(mine, reference, strict=True))]
    else:
        return "" if mine == reference else f"{place}: {mine!r:.80} here, {reference!r:.80} by MMEngine"
    return next((found for at, ours, theirs in pairs if (found := first_difference(ours, theirs, at))), "")


def make_reference_environment(folder: Path) -> Path:
    """Make an environment in which MMEngine reads configs, and return its interpreter."""
    return make_environment(folder, "--no-deps", *REQUIREMENTS, "termcolor", "yapf")


def table(results: dict[str, Agreement]) -> str:
    """Return the results as a table, and below it each config that both do not read alike."""
    lines = ["| Package | Configs | Read alike | Refused by both | Unread | Different |", "|---|---|---|---|---|---|"]
    for package, result in results.items():
        counts = (result.files, result.same, len(result.refused), len(result.unread), len(result.different))
        lines.append(f"| {package}=={VERSIONS[package]} | {' | '.join(map(str, counts))} |")
    for package, result in results.items():
        for kind in ("refused", "unread", "different"):
            for name, reason in getattr(result, kind).items():
                lines.append(f"{kind}: {package}/{name}: {reason}")
    return "\n".join(lines)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        python = Path(sys.argv[1]) if sys.argv[1:] else make_reference_environment(Path(scratch, "environment"))
        print(table(agreement(python, Path(scratch))))
