"""When a rewriter applies to a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from rewriters.errors import RewriterError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from rewriters.target import Target


@dataclass(frozen=True)
class Conditions:
    """When a rewriter applies: every condition that is not None has to be met.

    Attributes:
        backends: Names of backends.
        irs: Names of intermediate representations.
        precisions: Names of precisions.
        algos: Names of algorithms.
        opsets: Specifier of ONNX opsets, such as `>=18`.
        versions: Specifier of versions by library, such as `{"onnxruntime": ">=1.20"}`.
    """

    backends: Collection[str] | None = None
    irs: Collection[str] | None = None
    precisions: Collection[str] | None = None
    algos: Collection[str] | None = None
    opsets: str | None = None
    versions: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        for name in ("backends", "irs", "precisions", "algos"):
            names = getattr(self, name)
            if names is not None:
                object.__setattr__(self, name, _checked_names(name, names))
        if self.opsets is not None:
            _specifier("opsets", self.opsets)
        if self.versions is not None:
            if not self.versions:
                raise RewriterError("versions is empty; leave it out to apply to all versions")
            for library, specifier in self.versions.items():
                _specifier(f"versions[{library!r}]", specifier)

    @property
    def specificity(self) -> int:
        """The number of conditions given."""
        given = (self.backends, self.irs, self.precisions, self.algos, self.opsets, self.versions)
        return sum(condition is not None for condition in given)

    def unmet(self, target: Target) -> str:
        """Why these conditions exclude a target; empty when they are all met."""
        return next(filter(None, self._reasons(target)), "")

    def _reasons(self, target: Target) -> Iterator[str]:
        # Only what a condition asks about is read of the target, and no more than decides: the target may be recorded.
        if self.backends is not None:
            yield _unmet_name("backend", target.backend, self.backends)
        if self.irs is not None:
            yield _unmet_name("IR", target.ir, self.irs)
        if self.precisions is not None:
            yield _unmet_name("precision", target.precision, self.precisions)
        if self.algos is not None:
            yield _unmet_name("algo", target.algo, self.algos)
        if self.opsets is not None:
            yield _unmet_version("opset", str(target.opset), self.opsets)
        for library, specifier in (self.versions or {}).items():
            yield _unmet_version(library, target.versions.get(library), specifier)


def _checked_names(condition: str, names: Collection[str]) -> frozenset[str]:
    # A plain string is iterable too: without this check "tensorrt" would become a set of letters.
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise RewriterError(f"{condition} takes a set of names, not {names!r}; write {condition}={{...}}")
    checked = frozenset(names)
    if not checked:
        raise RewriterError(f"{condition} is empty; leave it out to apply to all {condition}")
    return checked


def _specifier(condition: str, text: str) -> SpecifierSet:
    try:
        return SpecifierSet(text)
    except (InvalidSpecifier, TypeError, AttributeError) as error:
        raise RewriterError(f"{condition} is not a version specifier such as '>=18': {text!r}") from error


def _unmet_name(condition: str, actual: str, allowed: Collection[str]) -> str:
    if actual in allowed:
        return ""
    return f"{condition} is {actual or 'not set'}, not {' or '.join(sorted(allowed))}"


def _unmet_version(library: str, actual: str | None, specifier: str) -> str:
    if actual is None:
        return f"the version of {library} is unknown, and {specifier} is needed"
    # The installed version is a fact, not a wish: a pre-release in use counts like any other.
    meets = SpecifierSet(specifier).contains(actual, prereleases=True)
    return "" if meets else f"{library} is {actual}, not {specifier}"
