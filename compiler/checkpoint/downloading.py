"""Published checkpoints: downloaded once, and checked against their digest."""

from __future__ import annotations

import http.client
import urllib.request
from pathlib import Path

from compiler.artifact import LARGEST_WEIGHTS, file_digest, reading, written_whole
from compiler.errors import CompileError


def download(url: str, sha256: str, folder: Path) -> Path:
    """Download a published checkpoint, once, and check its digest.

    Args:
        url: Its address.
        sha256: Its digest, or as many leading hex digits as were published.
        folder: Where downloads are kept.

    Returns:
        The file's path.

    Raises:
        CompileError: The model has no published checkpoint, the download fails, or the digest differs.
    """
    if not url:
        raise CompileError(
            "this model has no published checkpoint", where="model.official.url", fix="give a file: checkpoint=<path>"
        )
    if not sha256:
        raise CompileError(
            "the published checkpoint has no digest to check it with",
            where="model.official.sha256",
            fix="add its SHA-256, or download it and give checkpoint=<path>",
        )
    target = folder / url.rsplit("/", 1)[-1]
    with reading(target, "the downloaded checkpoint cannot be read", fix="choose another folder: cache=<folder>"):
        if target.is_file() and file_digest(target).startswith(sha256):
            return target
        folder.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as partial:
        _fetch(url, partial)
        found = file_digest(partial)
        if not found.startswith(sha256):
            raise CompileError(
                "the downloaded checkpoint is not the published one",
                where=url,
                why=f"its SHA-256 starts with {found[: len(sha256)]}, not with {sha256}",
                fix="download it by hand, compare it, and give checkpoint=<path>",
            )
    return target


def _fetch(url: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as response, path.open("wb") as file:
            for block in iter(lambda: response.read(1 << 20), b""):
                file.write(block)
                if file.tell() > LARGEST_WEIGHTS:
                    raise ValueError(f"it does not end after {LARGEST_WEIGHTS >> 30} GiB")
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise CompileError(
            "the published checkpoint cannot be downloaded",
            where=url,
            why=str(getattr(error, "reason", error)),
            fix="check the network, or download it elsewhere and give checkpoint=<path>",
        ) from error
