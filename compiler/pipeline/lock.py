"""Writing the lock file: what a bundle was made from, and what is in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from compiler.artifact import LOCK_FILE, file_digests, write_json
from compiler.artifact.lock import VERSION
from compiler.proof import StageProof
from compiler.report import Report


def write_lock(folder: Path, report: Report, key: str, made_from: Mapping[str, str] | None = None) -> None:
    """Write what was made from what: with it a later run knows that there is nothing to do.

    Args:
        folder: Of the bundle, all of it but the lock written.
        report: Of the bundle.
        key: The digest of what the bundle depends on.
        made_from: See `Lock`.
    """
    content = {
        "version": VERSION,
        "name": report.name,
        "key": key,
        "made_from": dict(made_from or {}),
        "versions": report.versions,
        "reached": {proof.stage: _reached(proof) for proof in report.proofs},
        "files": file_digests(folder, exclude=(LOCK_FILE,)),
    }
    write_json(folder / LOCK_FILE, content)


def _reached(proof: StageProof) -> dict[str, float]:
    return {"relative_error": proof.worst.relative_error, "decoded": proof.worst_decoded}
