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
    found = installed_version(distribution)
    if not found:
        return f"{distribution} is not installed: pip install 'deploy-compiler[{extra}]'"
    if _numbers(found) < _numbers(oldest):
        newer = f"pip install --upgrade 'deploy-compiler[{extra}]'"
        return f"{distribution} {found} is installed, and {oldest} is the oldest that will do: {newer}"
    if before and _numbers(found) >= _numbers(before):
        fitting = f"pip install 'deploy-compiler[{extra}]'"
        return f"{distribution} {found} is installed, and it has to be older than {before}: {fitting}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version: of some libraries, the third is a date and tells alone."""
    return tuple(int(part) for part in version.split("+", maxsplit=1)[0].split(".")[:3] if part.isdigit())
