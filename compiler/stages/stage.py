"""What a stage is: a frozen dataclass whose fields are all that its result depends on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from compiler.stages.fingerprint import Fingerprint, fingerprint
from compiler.stages.tools import LIBRARIES, versions

DONE = "done.json"
"""In the folder of a finished stage: the record that it is finished, and whole."""


@dataclass(frozen=True)
class Artifact:
    """What a stage left in its folder.

    Attributes:
        digest: Of all that the stage depended on.
        folder: Where it lies; says where, not what.
    """

    digest: str
    folder: Path = field(compare=False)


class Observations(Protocol):
    """What a stage looked at while it ran, beside its fields: it counts by what was really read."""

    @property
    def read(self) -> Mapping[str, Any]:
        """What has been read so far, by name; JSON-able."""
        ...

    def still_holds(self, read: Mapping[str, Any]) -> bool:
        """Tell whether everything that an earlier run has read is the same now."""
        ...


@dataclass(frozen=True)
class Stage(ABC):
    """One step of a compile.

    Its fields are all that its result depends on: `run` makes an artefact from them and from nothing else, and the
    key is made of them. A field that says where or how, and not what, is declared with `field(compare=False)`.
    """

    NAME: ClassVar[str]
    """As it is shown, and as its folder in the cache begins."""
    TOOLS: ClassVar[tuple[str, ...]] = LIBRARIES
    """The libraries whose versions its result depends on; all of them unless it says less."""

    @property
    def key(self) -> dict[str, Fingerprint]:
        """What the result is kept by: the fields, and the versions of the tools and of the compiler."""
        tools = {name: versions()[name] for name in ("compiler", *self.tools)}
        return {"stage": fingerprint(self), "tools": dict(tools)}

    @property
    def tools(self) -> tuple[str, ...]:
        """`TOOLS`, where they do not depend on a field."""
        return self.TOOLS

    @property
    def observations(self) -> Observations | None:
        """What records the reading of what is no field; None where there is nothing of the kind."""
        return None

    @abstractmethod
    def run(self, folder: Path) -> str:
        """Make the artefact in an empty folder, and say in a few words what came out.

        Raises:
            CompileError: It cannot be made.
        """
