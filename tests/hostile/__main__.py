"""`python -m tests.hostile`: feed hostile input to the compiler, and count how it ends."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.hostile.campaign import Numbered, faults, numbered, prepared, run_cases, table
from tests.hostile.kills import Killed, kill_compiles, told
from tests.hostile.kinds.registry import KINDS


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="how many, of each kind in turn")
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other cases")
    parser.add_argument("--kills", type=int, default=0, help="kill as many compiles, too: see tests.hostile.kills")
    parser.add_argument("--kind", nargs="*", choices=sorted(KINDS), help="these kinds only")
    parser.add_argument("--case", help="one case alone, as <kind>:<number>; its files are kept")
    return parser.parse_args(words)


def main() -> int:
    """The exit status: 1 where there was a fault."""
    given = arguments()
    if given.case:
        from tests.hostile.alone import run_alone

        kind, _, number = given.case.rpartition(":")
        return run_alone(Numbered(kind, int(number), given.seed), Path("outputs/hostile"))
    with prepared() as (folder, seeds):
        gc.freeze()
        result = run_cases(numbered(given.kind or list(KINDS), given.cases, given.seed), folder, seeds)
        killed = kill_compiles(given.kills, given.seed, folder, seeds) if given.kills else Killed()
    print(table(result))
    if result.found:
        print(f"\n{faults(result)}")
    if given.kills:
        print(f"\n{told(given.kills, killed)}")
    return 1 if result.found or killed.problems else 0


if __name__ == "__main__":
    sys.exit(main())
