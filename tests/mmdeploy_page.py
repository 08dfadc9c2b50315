"""Keep the tables of docs/mmdeploy.md and docs/backends.md up to the answers: `python -m tests.mmdeploy_page`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from compiler.config.mmdeploy.facts import facts
from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs/mmdeploy.md"
BACKENDS = REPOSITORY / "docs/backends.md"


def tables() -> dict[str, str]:
    """The tables of docs/mmdeploy.md, by the names of their places."""
    return {"names": _names(), "missing": _missing(), "keys": _keys(), "commands": _commands(), "python": _python()}


def backends_table() -> str:
    """MMDeploy's backends, with what is known of each and what is nearest to it."""
    known: Mapping[str, Any] = facts("names")["backends"]
    rows = ((f"`{name}`", one["title"], one["is"], one.get("for", one["nearest"])) for name, one in known.items())
    return _table(("Name", "Backend", "What is known", "Nearest, where it is not here"), rows)


def with_tables(page: str, filled: Mapping[str, str]) -> str:
    """A page with its tables, each between a comment that names it and one that ends it."""
    for name, table in filled.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        page, times = place.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", page)
        assert times == 1, f"the page has {times} places for the table '{name}'"
    return page


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def _names() -> str:
    known = facts("names")
    heads = [(f"`{head}_…`", _code(one["ours"], *one.get("overrides", ()))) for head, one in known["heads"].items()]
    sizes = [
        (f"`{task}_…-{size}`", f"`model={model}`")
        for task, one in known["sizes"].items()
        for size, model in one.items()
    ]
    data = [(f"`…_dynamic-{name}`", _cloud(one)) for name, one in known["data"].items()]
    precisions = [(f"`…-{theirs}_…`", f"`precision={ours}`") for theirs, ours in known["precisions"].items()]
    return _table(("In MMDeploy's name", "Here"), [*heads, *sizes, *data, *precisions])


def _cloud(one: Mapping[str, Any]) -> str:
    voxels = f"voxels of {one['points']} points with {one['numbers']} numbers, {one['voxels']} of them in TensorRT"
    model = f"`model={one['model']}`" if one["model"] else f"no model; {one['is']}, with `model=openmmlab`"
    return f"{model}: {voxels}"


def _missing() -> str:
    known = facts("names")
    tasks = [(f"`{task}_…`", said, "") for task, said in known["tasks"].items()]
    models = [(f"`{head}_…`", one["is"], f"`model={one['nearest']}`") for head, one in known["models"].items()]
    return _table(("MMDeploy's name", "What it is", "Nearest"), [*tasks, *models])


def _keys() -> str:
    known = facts("keys")["keys"].items()
    return _table(("MMDeploy's key", "Here", ""), ((f"`{key}`", _code(one["ours"]), one["why"]) for key, one in known))


def _commands() -> str:
    rows = []
    for tool, command in facts("commands")["commands"].items():
        ours = [command["verb"], *(ours for ours in command["places"].values() if ours)]
        words = " ".join([f"tools/{tool}", *command["places"]])
        rows.append(
            (f"`{words}`", _code(" ".join(["python -m compiler", *filter(None, ours)])), command.get("why", ""))
        )
        rows += [(f"`{flag}`", _code(one["ours"]), one["why"]) for flag, one in command["flags"].items()]
    return _table(("MMDeploy's command", "Here", ""), rows)


def _python() -> str:
    return _table(("In Python", "Here"), ((f"`{a}`", f"`{b}`") for a, b in facts("commands")["python"].items()))


def _code(*words: str) -> str:
    return ", ".join(f"`{word}`" for word in words if word) or "nothing"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8"), tables()), "utf-8")
    BACKENDS.write_text(with_tables(BACKENDS.read_text("utf-8"), {"backends": backends_table()}), "utf-8")
