"""All that `doctor` finds out, as one value."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from compiler.backends import Backend, Probe, build_backend
from compiler.backends.nvidia.cuda import Gpus, find_gpus
from compiler.config.config_dir import require_config_dir
from compiler.config.plain_yaml import load_yaml
from compiler.config.search import config_folder, config_loader
from compiler.config.yaml_files import check_yaml, parsing
from compiler.doctor.caches import Kept, caches
from compiler.doctor.installed import Extra, extras, libraries
from compiler.doctor.processor import Processor, this_processor
from compiler.doctor.smoke import FAILED, Smoke, smoke
from compiler.errors import CompileError, ExitCode, UsageError, nearest
from compiler.stages.tools import LIBRARIES

VERSION = 1
"""Of the layout of what is printed as JSON."""
_INSTALL = re.compile(r"(?:pip install [^;,]*|python -m compiler doctor --make \w+)")

_COMPOSED = re.compile(r"^\s*-?\s*[\"']?defaults\b|\$\{", re.MULTILINE)
"""What in a config file only Hydra can read."""


@dataclass(frozen=True)
class BackendState:
    """One backend, here.

    Attributes:
        name: Of its config.
        version: Of its library; empty where that is not installed.
        devices: What it runs on here.
        precisions: What it can be built in.
        problem: What it cannot do here, and why; empty where it can do everything.
        usable: Whether engines are built here, or run.
        smoke: How it did; None where it was not tried out.
    """

    name: str
    version: str
    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    problem: str
    usable: bool
    smoke: Smoke | None = None

    @property
    def install(self) -> str:
        """What to run where its library is missing; empty where it is not that."""
        found = _INSTALL.search(self.problem) if not self.usable else None
        return found[0].strip() if found else ""


@dataclass(frozen=True)
class Diagnosis:
    """What this machine has, can do and lacks.

    Attributes:
        python: Its version, and where it lies.
        libraries: Versions by name; empty where one is not installed.
        extras: The compiler's own.
        processor: What engines run on.
        gpus: NVIDIA's, or why there are none.
        backends: Each, by name.
        kept: The caches.
    """

    python: Mapping[str, str]
    libraries: Mapping[str, str]
    extras: tuple[Extra, ...]
    processor: Processor
    gpus: Gpus
    backends: tuple[BackendState, ...]
    kept: tuple[Kept, ...]

    @property
    def advice(self) -> list[str]:
        """What to install, for what, each once."""
        lacking = [one for one in self.extras if one.missing]
        covered = {word for one in lacking for word in (one.install, *(f"pip install {name}" for name in one.missing))}
        return [
            *(f"{one.install}  # {one.name}: {', '.join(one.missing)}" for one in lacking),
            *(f"{one.install}  # {one.name}" for one in self.backends if one.install not in {"", *covered}),
        ]

    @property
    def problem(self) -> str:
        """Why a script should not go on; empty where it can."""
        failed = [one.name for one in self.backends if one.smoke is not None and one.smoke.status == FAILED]
        if failed:
            return f"{' and '.join(failed)} cannot do what it is installed for"
        if any(one.usable for one in self.backends):
            return ""
        return (
            "no backend can be used here" if len(self.backends) > 1 else f"{self.backends[0].name} cannot be used here"
        )

    @property
    def exit_code(self) -> ExitCode:
        """Whether something can be built or run here, and nothing that was tried out failed."""
        return ExitCode.FAILED if self.problem else ExitCode.PROVEN

    def to_dict(self) -> dict[str, Any]:
        """A JSON-able form."""
        return {
            "version": VERSION,
            "ok": not self.problem,
            "problem": self.problem,
            "python": dict(self.python),
            "libraries": dict(self.libraries),
            "extras": {one.name: {"missing": list(one.missing), "install": one.install} for one in self.extras},
            "processor": {**asdict(self.processor), "meanings": self.processor.meanings},
            "gpus": asdict(self.gpus),
            "backends": [{**asdict(one), "install": one.install} for one in self.backends],
            "caches": [{**asdict(one), "path": str(one.path)} for one in self.kept],
            "advice": self.advice,
        }


def diagnose(
    config_dir: Path | None = None,
    names: Sequence[str] = (),
    *,
    smoked: bool = False,
    trying: Callable[[str], None] = lambda name: None,
) -> Diagnosis:
    """Look at this machine.

    Args:
        config_dir: A config folder of the user's, whose backends are looked at too.
        names: Of the backends to look at; none for all.
        smoked: Whether each is tried out, which takes seconds.
        trying: Told the name of a backend before it is tried out.

    Raises:
        UsageError: There is no such backend, or no such folder.
    """
    nodes = backend_nodes(config_dir)
    for name in names:
        if name not in nodes:
            raise UsageError(f"there is no backend '{name}'", where=f"backend={name}", fix=nearest(name, nodes))
    states = []
    for name in names or nodes:
        if smoked:
            trying(name)
        states.append(_state(name, nodes[name], smoked))
    return Diagnosis(
        python={"version": platform.python_version(), "executable": sys.executable, "system": platform.platform()},
        libraries=libraries(LIBRARIES),
        extras=extras(),
        processor=this_processor(),
        gpus=find_gpus(),
        backends=tuple(states),
        kept=caches(),
    )


def backend_nodes(config_dir: Path | None) -> dict[str, Callable[[], Backend]]:
    """How each backend is made that can be chosen, with the options of its config, by name.

    Without Hydra, which only compiling needs, those are left out whose files are composed of others.

    Raises:
        UsageError: There is no such folder.
    """
    plain = {name: partial(build_backend, node) for name, node in _plain_nodes(config_dir).items()}
    try:
        names = config_loader(config_dir).get_group_options("backend")
    except ModuleNotFoundError:
        return dict(sorted(plain.items()))
    return {name: plain.get(name) or partial(_composed, name, config_dir) for name in names}


def _composed(name: str, config_dir: Path | None) -> Backend:
    """A backend with the options of its config, whatever it is asked to build by the others."""
    from compiler.config.composition import compose_values, to_config

    return build_backend(to_config(compose_values([f"backend={name}"], config_dir), check=False).backend)


def _plain_nodes(config_dir: Path | None) -> dict[str, Mapping[str, Any]]:
    """The nodes of files that are all of a backend: a file of ours goes before one of the user's."""
    if config_dir is not None:
        require_config_dir(config_dir)
    folders = [*([config_dir] if config_dir else []), config_folder()]
    files = {file.stem: file for folder in folders for file in (folder / "backend").glob("*.yaml")}
    nodes: dict[str, Mapping[str, Any]] = {}
    for name, file in files.items():
        with parsing(file):
            text = check_yaml(file)
            if not _COMPOSED.search(text):
                nodes[name] = load_yaml(text)
    return nodes


def _state(name: str, made: Callable[[], Backend], smoked: bool) -> BackendState:
    """What a backend can do here; one of the user's that cannot be made says why, and stops nothing."""
    try:
        backend = made()
        probe = backend.probe()
    except (CompileError, ImportError) as error:
        return BackendState(name, "", (), (), str(error).splitlines()[0], usable=False)
    return BackendState(
        name=name,
        version=probe.version,
        devices=probe.devices,
        precisions=backend.PRECISIONS,
        problem=probe.problem or probe.build_problem or probe.run_problem,
        usable=_is_usable(probe),
        smoke=smoke(backend, probe) if smoked else None,
    )


def _is_usable(probe: Probe) -> bool:
    return not probe.problem and not (probe.build_problem and probe.run_problem)
