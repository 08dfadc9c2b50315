"""What fired, where, how often and with what effect; what was skipped, and why."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from rewriters.contract import Contract
    from rewriters.definition import Rewriter

NEVER_MET = {
    "function": "the network never calls the function",
    "module": "the network has no such module",
    "fusion": "the network has no such modules",
    "graph": "pattern not found",
}


@dataclass(frozen=True)
class Entry:
    """One line of the ledger.

    Attributes:
        name: Name of the rewriter.
        kind: `function`, `module`, `fusion` or `graph`.
        status: `fired` or `skipped`.
        times: How often it fired, or was skipped for this reason.
        where: Paths of the modules, or names of the nodes, in the order they were met.
        reason: Why it was skipped; empty when it fired.
        contract: What it promises about the numbers.
        why: Why it exists.
        max_absolute_error: The largest difference measured; None when nothing was measured.
        holds: Whether that difference keeps the contract; None when nothing was measured.
    """

    name: str
    kind: str
    status: Literal["fired", "skipped"]
    times: int
    where: tuple[str, ...]
    reason: str
    contract: str
    why: str
    max_absolute_error: float | None = None
    holds: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON can hold it."""
        error = self.max_absolute_error
        # Strict JSON knows neither NaN nor infinity.
        written = error if error is None or math.isfinite(error) else str(error)
        return {**asdict(self), "where": list(self.where), "max_absolute_error": written}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Entry:
        """Read what `to_dict` wrote."""
        error = data["max_absolute_error"]
        return cls(
            **{**data, "where": tuple(data["where"]), "max_absolute_error": None if error is None else float(error)}
        )


@dataclass
class _Record:
    fired: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    error: float | None = None
    holds: bool = True


class Ledger:
    """Collects what rewriters do during a run.

    Args:
        rewriters: The rewriters that take part: each gets an entry, whether or not it is met.
    """

    def __init__(self, rewriters: Iterable[Rewriter]) -> None:
        self._records = {rewriter: _Record() for rewriter in rewriters}

    def fired(self, rewriter: Rewriter, where: str) -> None:
        """Note that a rewriter rewrote a place."""
        self._records[rewriter].fired.append(where)

    def skipped(self, rewriter: Rewriter, where: str, reason: str) -> None:
        """Note that a rewriter left a place alone."""
        self._records[rewriter].skipped.setdefault(reason, []).append(where)

    def measured(self, rewriter: Rewriter, error: float, size: float = 1.0) -> None:
        """Note the difference that a rewriter made at one place; the largest is kept, and NaN is larger than all.

        Args:
            rewriter: Which one.
            error: The largest difference.
            size: The largest number that was to come out there.
        """
        record = self._records[rewriter]
        record.error = error if record.error is None else _larger(record.error, error)
        record.holds &= rewriter.contract.holds(error, size)

    def entries(self) -> tuple[Entry, ...]:
        """The entries so far: one for each rewriter that fired, and one for each reason to skip."""
        return tuple(entry for rewriter, record in self._records.items() for entry in _entries(rewriter, record))


def fired_entry(rewriter: Rewriter, where: Collection[str]) -> Entry:
    """The entry of a rewriter that fired at these places."""
    return Entry(
        name=rewriter.name,
        kind=rewriter.kind,
        status="fired",
        times=len(where),
        where=tuple(dict.fromkeys(where)),
        reason="",
        contract=str(rewriter.contract),
        why=rewriter.why,
    )


def skipped_entry(rewriter: Rewriter, reason: str, where: Collection[str] = ()) -> Entry:
    """The entry of a rewriter that left these places alone, or was never asked."""
    return replace(fired_entry(rewriter, where), status="skipped", reason=reason)


def with_measurement(entry: Entry, contract: Contract, error: float, size: float = 1.0) -> Entry:
    """An entry with the difference measured, and whether it keeps the contract; see `Contract.holds`."""
    return replace(entry, max_absolute_error=error, holds=contract.holds(error, size))


def unfired(required: Iterable[str], entries: Iterable[Entry]) -> dict[str, str]:
    """The required rewriters that did not fire, by name, each with the reasons."""
    entries = tuple(entries)
    fired = {entry.name for entry in entries if entry.status == "fired"}
    missing = [name for name in dict.fromkeys(required) if name not in fired]
    reasons = {name: "; ".join(entry.reason for entry in entries if entry.name == name) for name in missing}
    return {name: reason or "it did not take part" for name, reason in reasons.items()}


def _entries(rewriter: Rewriter, record: _Record) -> Iterable[Entry]:
    if not record.fired and not record.skipped:
        yield skipped_entry(rewriter, NEVER_MET[rewriter.kind])
    if record.fired:
        entry = fired_entry(rewriter, record.fired)
        measured = record.error is not None
        yield replace(entry, max_absolute_error=record.error, holds=record.holds) if measured else entry
    for reason, where in record.skipped.items():
        yield skipped_entry(rewriter, reason, where)


def _larger(first: float, second: float) -> float:
    return math.nan if math.isnan(first) or math.isnan(second) else max(first, second)
