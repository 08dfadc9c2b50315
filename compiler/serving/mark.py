"""What `export` writes on top of a model's config: that the model is ours, and what its files were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from compiler.artifact import bytes_digest, digest, file_digests, files_in, reading, write_text
from compiler.errors import CompileError
from compiler.runtime.contents import BundleContents

CONFIG = "config.pbtxt"
FIRST_LINE = "# Written by deploy-compiler: python -m compiler export triton\n"
_BUNDLE, _FILE = "# bundle ", "# file "


@dataclass(frozen=True)
class Mark:
    """The lines on top of a config.

    Attributes:
        bundle: What tells apart the bundles that models are made of.
        files: The SHA-256 of each file of the model, by its name; of the config, that of what is below these lines.
    """

    bundle: str
    files: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Path) -> Mark | None:
        """The mark of a model; None where there is none of ours."""
        path = model / CONFIG
        text = path.read_text(errors="replace") if path.is_file() else ""
        if not text.startswith(FIRST_LINE):
            return None
        lines = _comments(text)
        files = (line.removeprefix(_FILE).split(" ", 1) for line in lines if line.startswith(_FILE))
        bundle = next((line.removeprefix(_BUNDLE) for line in lines if line.startswith(_BUNDLE)), "")
        return cls(bundle, {pair[1]: pair[0] for pair in files if len(pair) == 2})

    def __str__(self) -> str:
        lines = [f"{_BUNDLE}{self.bundle}", *(f"{_FILE}{sha} {name}" for name, sha in self.files.items())]
        return FIRST_LINE + "".join(f"{line}\n" for line in lines)


def write_mark(model: Path, bundle: str) -> None:
    """Put the mark on top of the config of a model whose files are all written."""
    text = (model / CONFIG).read_text(encoding="utf-8")
    write_text(model / CONFIG, f"{Mark(bundle, _digests(model))}{text}")


def name_of(contents: BundleContents) -> str:
    """What tells a bundle from others: all that it was made from, or its files where they are not what they were."""
    return contents.lock.key if contents.lock else digest(file_digests(contents.folder))


def require_ours(model: Path, bundle: str, replace: bool) -> None:
    """Refuse to replace a model that was not written by us, was changed since, or is of another bundle.

    Args:
        model: Its folder.
        bundle: What is to be written, by `name_of`.
        replace: Whether a model of ours may go that was changed or is of another bundle.

    Raises:
        CompileError: Something else lies there.
    """
    with reading(model, "the repository cannot be read"):
        if not os.path.lexists(model):
            return
        mark = None if model.is_symlink() else Mark.of(model)
        problems = [] if mark is None or replace else list(_problems(model, mark, bundle))
    if mark is None:
        raise CompileError(
            "something else lies where the model would be written",
            where=str(model),
            why=f"it is no model with a {CONFIG} of ours",
            fix="give the model another name: name=<name>; or remove the folder",
        )
    if problems:
        raise CompileError(
            "the model that is there would be lost",
            where=str(model),
            why="; ".join(problems),
            fix="give the model another name: name=<name>; or say that it may go: replace=true",
        )


def _problems(model: Path, mark: Mark, bundle: str) -> Iterator[str]:
    """Yield what would be lost, in words."""
    if mark.bundle != bundle:
        yield "it was exported from another bundle"
    found = _digests(model)
    names = sorted(name for name in {*mark.files, *found} if found.get(name) != mark.files.get(name))
    changed, added = [name for name in names if name in mark.files], [name for name in names if name not in mark.files]
    if changed:
        yield f"changed since it was exported: {', '.join(changed)}"
    if added:
        yield f"added since: {', '.join(added)}"


def _digests(model: Path) -> dict[str, str]:
    """The digests of a model's files, but for what Python compiled of them."""
    compiled = (name for name in files_in(model) if "__pycache__" in name.split("/"))
    text = (model / CONFIG).read_text(encoding="utf-8", errors="replace")
    below = text[sum(len(line) + 1 for line in _comments(text)) :]
    return {CONFIG: bytes_digest(below.encode()), **file_digests(model, exclude=(CONFIG, *compiled))}


def _comments(text: str) -> list[str]:
    """The lines of comments that a text begins with."""
    lines = text.split("\n")
    count = next((index for index, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return lines[:count]
