"""Many cases, two at a time, and a table of how they ended."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.hostile.child import NOT_MADE, Child, Limits, can_drop_privileges, start
from tests.hostile.kinds.registry import KINDS, STARTING
from tests.hostile.outcome import Ended, Fault, faults_of, signature, was_refused
from tests.hostile.seeds import Seeds, make_seeds

AT_ONCE = 2
LIBRARIES = ("torch", "onnx", "onnxruntime", "onnxscript", "cv2", "hydra", "safetensors.torch", "rich", "yaml")
"""Imported first, so that no child has to."""
WARMING = 2
"""Cases of each kind that are run ahead, to learn what they import."""


@dataclass(frozen=True)
class Numbered:
    """A case by what makes it again.

    Attributes:
        kind: Its name.
        number: Among those of its kind.
        seed: Of all cases.
    """

    kind: str
    number: int
    seed: int

    @property
    def random(self) -> Random:
        """Its own random numbers."""
        return Random(f"{self.seed}:{self.kind}:{self.number}")

    @property
    def unprivileged(self) -> bool:
        """Every other case is run as a user who may do nothing, where there is a choice."""
        return self.number % 2 == 1 and can_drop_privileges(starts=self.kind in STARTING)

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}"


@dataclass
class Tally:
    """How the cases of one kind ended."""

    cases: int = 0
    refused: int = 0
    seconds: float = 0.0
    faults: Counter[Fault] = field(default_factory=Counter)


@dataclass
class Result:
    """How all cases ended.

    Attributes:
        tallies: By kind.
        found: Each fault by what it has in common with others: the cases, and the line about the first.
    """

    tallies: dict[str, Tally] = field(default_factory=dict)
    found: dict[str, list[tuple[Numbered, str]]] = field(default_factory=dict)

    def add(self, case: Numbered, ended: Ended) -> None:
        """Count one."""
        if ended.code == NOT_MADE:
            self.found.setdefault("a case could not be made", []).append((case, ended.stderr[-240:]))
            return
        tally = self.tallies.setdefault(case.kind, Tally())
        tally.cases += 1
        tally.seconds += ended.seconds
        tally.refused += was_refused(ended)
        for fault, line in faults_of(ended).items():
            tally.faults[fault] += 1
            self.found.setdefault(signature(fault, line), []).append((case, line))


def numbered(names: Sequence[str], count: int, seed: int) -> Iterator[Numbered]:
    """As many cases as are asked for, of each kind in turn."""
    for place in range(count):
        yield Numbered(names[place % len(names)], place // len(names), seed)


@contextmanager
def prepared() -> Iterator[tuple[Path, Seeds]]:
    """A folder for cases, and the files that they are made from; what they import is imported."""
    with TemporaryDirectory(prefix="hostile-", ignore_cleanup_errors=True) as name:
        folder = Path(os.path.realpath(name))
        folder.chmod(0o755)
        for module in LIBRARIES:
            importlib.import_module(module)
        for module in json.loads(_in_fork(folder, _warmed)):
            try:
                importlib.import_module(module)
            except Exception:  # a module that has to be imported by another
                continue
        import cv2

        cv2.setNumThreads(1)
        yield folder, Seeds(folder / "seeds")


def run_cases(cases: Iterable[Numbered], folder: Path, seeds: Seeds) -> Result:
    """Run them, two at a time; what has been run where it is interrupted."""
    result, running = Result(), dict[int, tuple[Numbered, Child]]()
    try:
        _run_cases(iter(cases), folder, seeds, result, running)
    except KeyboardInterrupt:
        for pid in running:
            os.killpg(pid, signal.SIGKILL)
    return result


def _run_cases(
    waiting: Iterator[Numbered],
    folder: Path,
    seeds: Seeds,
    result: Result,
    running: dict[int, tuple[Numbered, Child]],
) -> None:
    exhausted = False
    while True:
        while not exhausted and len(running) < AT_ONCE:
            case = next(waiting, None)
            if case is None:
                exhausted = True
                break
            child = start(folder / str(case).replace(":", "-"), KINDS[case.kind], case.random, seeds, case.unprivileged)
            running[child.pid] = case, child
        if not running:
            return
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if pid in running:
            case, child = running.pop(pid)
            result.add(case, child.ended(status, usage))
            remove(child.folder)
        else:
            time.sleep(0.005)


def remove(folder: Path) -> None:
    """Remove a case's folder, whatever rights it has left there."""
    for parent, folders, _ in os.walk(folder):
        for path in (Path(parent, name) for name in folders):
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def table(result: Result) -> str:
    """How the cases of each kind ended, and how to run what failed alone."""
    columns = ["cases", "refused", *(fault.value for fault in Fault)]
    milliseconds = [round(1000 * tally.seconds / tally.cases) for tally in result.tallies.values()]
    rows = [
        (name, [tally.cases, tally.refused, *(tally.faults[one] for one in Fault)])
        for name, tally in result.tallies.items()
    ]
    total = [sum(column) for column in zip(*(numbers for _, numbers in rows), strict=True)]
    lines = [f"{'kind':20}" + "".join(f"{column:>11}" for column in (*columns, "ms each"))]
    listed = [*zip(rows, milliseconds, strict=True), (("total", total), "")]
    lines += [
        f"{name:20}" + "".join(f"{number:>11}" for number in numbers) + f"{each:>11}"
        for (name, numbers), each in listed
    ]
    return "\n".join(lines)


def faults(result: Result) -> str:
    """Every fault once, the most frequent first, with how to run its first case alone."""
    lines = []
    for found in sorted(result.found.items(), key=lambda one: -len(one[1])):
        sign, cases = found
        case, line = cases[0]
        lines.append(f"{len(cases):5} x {sign.partition(':')[0]}: {line[:240]!r}")
        lines.append(f"        python -m tests.hostile --seed {case.seed} --case {case}")
    return "\n".join(lines)


def _warmed(folder: Path) -> str:
    """Write the seeds, run a few cases of each kind, and tell what has been imported."""
    from tests.hostile.case import INSIDE
    from tests.hostile.child import run_case

    before = set(sys.modules)
    seeds = make_seeds(folder / "seeds")
    for case in numbered(list(KINDS), WARMING * len(KINDS), 0):
        inside = folder / "warming" / str(case) / INSIDE
        inside.mkdir(parents=True)
        os.chdir(inside)
        made = KINDS[case.kind](case.random, seeds, inside)
        try:
            run_case(made)
        except (Exception, SystemExit):
            continue
    return json.dumps([name for name in sys.modules if name not in before and name != "__main__"])


def _in_fork(folder: Path, work: object) -> str:
    """What a function says in a child: what it leaves behind in its process is gone."""
    answer = folder / "answer"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setsid()
            Limits(seconds=300, patience=600).apply()
            with (folder / "said").open("w") as said, redirect_stdout(said):
                os.dup2(said.fileno(), 2)
                answer.write_text(work(folder))  # type: ignore[operator]
            code = 0
        finally:
            if code:
                import traceback

                traceback.print_exc()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"the seeds could not be made: {(folder / 'said').read_text()[-2000:]}")
    shutil.rmtree(folder / "warming", ignore_errors=True)
    return answer.read_text()
