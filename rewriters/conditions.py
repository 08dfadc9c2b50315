"""When a rewriter applies to a target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypedDict

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from rewriters.errors import RewriterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Unpack

    from rewriters.target import Target


class ConditionOptions(TypedDict, total=False):
    """When a rewriter applies, as its decorator takes it: each may be left out, and all that are given have to be met.

    Attributes:
        backends: Names of backends.
        irs: Names of intermediate representations.
        precisions: Names of precisions.
        algos: Names of algorithms.
        opsets: Specifier of ONNX opsets, such as `>=18`.
        versions: Specifier of versions by library, such as `{"onnxruntime": ">=1.20"}`.
    """

    backends: Collection[str]
    irs: Collection[str]
    precisions: Collection[str]
    algos: Collection[str]
    opsets: str
    versions: Mapping[str, str]


NAMES = {"backends": "backend", "irs": "ir", "precisions": "precision", "algos": "algo"}
"""The conditions that are sets of names: what each is compared with in the target."""
LABELS = {"ir": "IR"}


class Conditions:
    """When a rewriter applies.

    Args:
        options: The conditions.

    Raises:
        RewriterError: There is no such condition, or it is badly written.
    """

    def __init__(self, **options: Unpack[ConditionOptions]) -> None:
        self.given = {name: _checked(name, value) for name, value in options.items()}

    @property
    def specificity(self) -> int:
        """The number of conditions given."""
        return len(self.given)

    def unmet(self, target: Target) -> str:
        """Why these conditions exclude a target; empty when they are all met."""
        return next(filter(None, self._reasons(target)), "")

    def _reasons(self, target: Target) -> Iterator[str]:
        # Only what a condition asks about is read of the target, and no more than decides: the target may be recorded.
        for condition, wanted in self.given.items():
            if condition == "opsets":
                yield _unmet_version("opset", str(target.opset), wanted)
            elif condition == "versions":
                for library, specifier in wanted.items():
                    yield _unmet_version(library, target.versions.get(library), specifier)
            else:
                name = NAMES[condition]
                yield _unmet_name(LABELS.get(name, name), getattr(target, name), wanted)


def _checked(condition: str, value: Any) -> Any:
    if condition not in ConditionOptions.__annotations__:
        raise RewriterError(
            f"there is no condition {condition!r}; there are {', '.join(ConditionOptions.__annotations__)}"
        )
    if condition == "opsets":
        return _checked_specifier(condition, value)
    return _checked_versions(value) if condition == "versions" else _checked_names(condition, value)


def _checked_versions(versions: Mapping[str, str]) -> Mapping[str, str]:
    if not versions:
        raise RewriterError("versions is empty; leave it out to apply to all versions")
    return {library: _checked_specifier(f"versions[{library!r}]", text) for library, text in versions.items()}


def _checked_names(condition: str, names: Collection[str]) -> frozenset[str]:
    # A plain string is iterable too: without this check "tensorrt" would become a set of letters.
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise RewriterError(f"{condition} takes a set of names, not {names!r}; write {condition}={{...}}")
    checked = frozenset(names)
    if not checked:
        raise RewriterError(f"{condition} is empty; leave it out to apply to all {condition}")
    return checked


def _checked_specifier(condition: str, text: str) -> str:
    try:
        SpecifierSet(text)
    except (InvalidSpecifier, TypeError, AttributeError) as error:
        raise RewriterError(f"{condition} is not a version specifier such as '>=18': {text!r}") from error
    return text


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
