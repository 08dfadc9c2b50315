"""What is installed: the libraries that results depend on, and which of the compiler's own extras are whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires

from packaging.requirements import Requirement

from compiler.artifact import installed_version

DISTRIBUTION = "deploy-compiler"
OF_DEVELOPERS = ("check", "test")
"""Extras that no user of the compiler needs."""


@dataclass(frozen=True)
class Extra:
    """One extra of the compiler's.

    Attributes:
        name: As in `pip install 'deploy-compiler[<name>]'`.
        missing: What it asks for and is not installed, or in a version that will not do.
    """

    name: str
    missing: tuple[str, ...]

    @property
    def install(self) -> str:
        """What installs it."""
        return f"pip install '{DISTRIBUTION}[{self.name}]'"


def libraries(names: Iterable[str]) -> dict[str, str]:
    """The versions of libraries; empty where one is not installed."""
    return {name: installed_version(name) for name in (DISTRIBUTION, *names, "hydra-core")}


def extras() -> tuple[Extra, ...]:
    """The extras that a user may want; none where the compiler itself is not installed, as in a bare checkout."""
    try:
        names = metadata(DISTRIBUTION).get_all("Provides-Extra") or []
        wanted = [Requirement(line) for line in requires(DISTRIBUTION) or []]
    except PackageNotFoundError:
        return ()
    return extras_of(names, wanted)


def extras_of(names: Iterable[str], wanted: Iterable[Requirement]) -> tuple[Extra, ...]:
    """The extras of a distribution, by what its metadata says."""
    groups: Mapping[str, list[Requirement]] = {name: [] for name in names if name not in OF_DEVELOPERS}
    for requirement in wanted:
        marker = requirement.marker
        for name, group in groups.items():
            if marker is not None and marker.evaluate({"extra": name}) and not marker.evaluate({"extra": ""}):
                group.append(requirement)
    return tuple(Extra(name, tuple(filter(None, map(_missing, group)))) for name, group in groups.items())


def _missing(requirement: Requirement) -> str:
    """A requirement that is not met, and what is there instead; empty where it is met."""
    found = installed_version(requirement.name)
    if not found:
        return requirement.name
    is_met = requirement.specifier.contains(found, prereleases=True)
    return "" if is_met else f"{requirement.name}{requirement.specifier} ({found} is installed)"
