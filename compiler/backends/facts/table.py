"""What libraries take of ONNX, as data with where each fact was seen: a YAML file for each, beside this one."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from packaging.specifiers import SpecifierSet

from compiler.backends.facts.nodes import Place

ANY_OPERATOR = "*"


@dataclass(frozen=True)
class Condition:
    """When a limit holds: all that is given has to be met.

    Attributes:
        types: NumPy dtype names (or `bfloat16`, `string`), of which an input or output has one.
        ranks: Of the first input.
        above: By position of an input: it may be larger than this.
        nonzero: Positions of constant inputs that are not zero throughout.
        varying: Positions of inputs that are given, and not constant.
        decided: Positions of inputs, one of which is computed from the values of an input of the graph: see
            `Place.is_decided_by_input`.
        outputs: Positions of outputs that are given.
        other_than: By attribute: it has another value than these.
        capabilities: Compute capabilities, of which the engine is for one.
        versions: Specifier of the library's version, such as `<10.9`.
    """

    types: Sequence[str] = ()
    ranks: Sequence[int] = ()
    above: Mapping[int, int] = field(default_factory=dict)
    nonzero: Sequence[int] = ()
    varying: Sequence[int] = ()
    decided: Sequence[int] = ()
    outputs: Sequence[int] = ()
    other_than: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    capabilities: Sequence[str] = ()
    versions: str = ""

    def holds_for(self, version: str, capabilities: Sequence[str]) -> bool:
        """Tell whether it can hold for engines of a version of the library, for these compute capabilities."""
        is_of_version = not self.versions or SpecifierSet(self.versions).contains(version, prereleases=True)
        return is_of_version and (not self.capabilities or not set(self.capabilities).isdisjoint(capabilities))

    def holds_at(self, place: Place) -> bool:
        """Tell whether a node meets it."""
        return (
            (not self.types or not place.types.isdisjoint(self.types))
            and (not self.ranks or place.rank in self.ranks)
            and all(place.bound(index) > limit for index, limit in self.above.items())
            and all(place.is_nonzero(index) for index in self.nonzero)
            and all(place.is_varying(index) for index in self.varying)
            and (not self.decided or any(place.is_decided_by_input(index) for index in self.decided))
            and all(place.has_output(index) for index in self.outputs)
            and all(not set(place.attribute(name)) <= set(known) for name, known in self.other_than.items())
        )


@dataclass(frozen=True)
class Limit:
    """Something that a library cannot do with some operators.

    Attributes:
        operators: Their types, as `domain::type` where the domain is not ONNX's own; `*` for all.
        why: What it cannot do.
        when: Not always, but only then.
        seen: Where that is known from.
        fix: A graph rewriter's name, or an override such as `tail=host`; empty where nothing is known.
    """

    operators: tuple[str, ...]
    why: str
    when: Condition
    seen: str
    fix: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known about a library.

    Attributes:
        library: Its name.
        version: The version that the facts are about: what is assumed where none is installed.
        seen: Where the list of supported operators is known from.
        capabilities: The compute capabilities that it builds for; empty where it is the device's own, or has none.
        supported: The operators that it takes unless a limit says otherwise.
        limits: What it cannot do.
    """

    library: str
    version: str
    seen: str
    capabilities: tuple[str, ...]
    supported: frozenset[str]
    limits: tuple[Limit, ...]


@functools.cache
def read_facts(library: str) -> Facts:
    """The facts about a library, such as `tensorrt_rtx`."""
    table = yaml.safe_load(Path(__file__).with_name(f"{library}.yaml").read_text(encoding="utf-8"))
    return Facts(
        library=table["library"],
        version=str(table["version"]),
        seen=table["seen"],
        capabilities=tuple(table.get("capabilities", ())),
        supported=frozenset(operator for line in table["supported"] for operator in line),
        limits=tuple(_limit(row, table["seen"]) for row in table["limits"]),
    )


def _limit(row: Mapping[str, Any], seen: str) -> Limit:
    condition = Condition(**row.get("when", {}))
    return Limit(**{"seen": seen, **row, "operators": tuple(row["operators"]), "when": condition})
