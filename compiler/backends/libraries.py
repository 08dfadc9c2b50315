"""Libraries that a backend needs: whether they are installed, and new enough. Nothing is imported for it."""

from __future__ import annotations

from compiler.artifact import installed_version


def library_problem(distribution: str, extra: str, oldest: str, before: str = "") -> str:
    """Why a library cannot be used; empty where it can.

    Args:
        distribution: What pip calls it.
        extra: Of ours that installs it.
        oldest: The first version that will do, such as `2.9`.
        before: The first version that will not do any more; empty where none is known.
    """
    return version_problem(distribution, installed_version(distribution), f"'deploy-compiler[{extra}]'", oldest, before)


def version_problem(distribution: str, found: str, installs: str, oldest: str, before: str = "") -> str:
    """Why a version of a library cannot be used; empty where it can.

    Args:
        distribution: What pip calls it.
        found: The version; empty where there is none.
        installs: What pip is asked for to have one that will do.
        oldest: See `library_problem`.
        before: See `library_problem`.
    """
    if not found:
        return f"{distribution} is not installed: pip install {installs}"
    if older_than(found, oldest):
        newer = f"pip install --upgrade {installs}"
        return f"{distribution} {found} is installed, and {oldest} is the oldest that will do: {newer}"
    if before and not older_than(found, before):
        return f"{distribution} {found} is installed, and it has to be older than {before}: pip install {installs}"
    return ""


def older_than(version: str, other: str) -> bool:
    """Whether a version is older than another."""
    return _numbers(version) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version: of some libraries, the third is a date and tells alone."""
    return tuple(int(part) for part in version.split("+", maxsplit=1)[0].split(".")[:3] if part.isdigit())
