"""One case alone: what it was, what was said, and what was wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.hostile.campaign import Numbered, prepared, remove
from tests.hostile.child import start
from tests.hostile.kinds.registry import KINDS
from tests.hostile.outcome import faults_of


def run_alone(case: Numbered, kept: Path) -> int:
    """Run a case, print all about it, and keep its files; the exit status is 1 where there was a fault."""
    with prepared() as (folder, seeds):
        child = start(folder / "case", KINDS[case.kind], case.random, seeds, case.unprivileged)
        _, status, usage = os.wait4(child.pid, 0)
        ended = child.ended(status, usage)
        remove(kept)
        kept.parent.mkdir(parents=True, exist_ok=True)
        child.folder.rename(kept)
    words = kept / "words"
    print(f"words: {words.read_text().splitlines() if words.exists() else None}")
    print(f"status: {ended.code}\nstdout:\n{ended.stdout[-2000:]}\nstderr:\n{ended.stderr[-6000:]}")
    print(f"records:\n{ended.records}")
    for fault, line in faults_of(ended).items():
        print(f"{fault.value}: {line}")
    print(f"its files are in {kept}")
    return 1 if faults_of(ended) else 0
