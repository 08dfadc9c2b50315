"""`python -m tests.hostile.kills`: kill compiles within a stage, and look at what they leave behind."""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.hostile.campaign import prepared
from tests.hostile.case import INSIDE
from tests.hostile.child import can_drop_privileges, drop_privileges, forked, prepare
from tests.hostile.seeds import Seeds

STAGES = ("export", "calibrate", "precision", "build", "package")
SWEEP = "sweep"
OLD, NEW = "model.file=old.onnx", "model.file=new.onnx"
"""Networks whose bundles have the same name, and so take each other's place."""
SWEPT = "precision=fp32,int8"
MODEL = ("model=onnx", "model.name=one")


@dataclass
class Killed:
    """What came of some kills.

    Attributes:
        hits: How many compiles were really killed, by stage; others had ended before.
        problems: What was wrong afterwards.
    """

    hits: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


@dataclass
class Workplace:
    """A folder in which one user compiles, with an older bundle in it.

    Attributes:
        folder: Of the case.
        unprivileged: The user may do nothing elsewhere.
        seconds: What each stage took when nobody disturbed it; and a whole sweep.
        last: What the bundle was made from.
        engines: The digest of the engine that each config makes, by the bundle's folder and the config.
    """

    folder: Path
    unprivileged: bool
    seconds: dict[str, float] = field(default_factory=dict)
    last: str = OLD
    engines: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        """Finished stages."""
        return self.folder / INSIDE / "outputs/.cache"

    @property
    def bundles(self) -> list[Path]:
        """What was compiled; a folder whose name begins with a dot is being made."""
        return [path.parent for path in (self.folder / INSIDE / "outputs").glob("[!.]*/config.yaml")]

    @property
    def other(self) -> str:
        """A setting that the bundle was not made from: with the same there would be nothing to do, and to kill."""
        return NEW if self.last == OLD else OLD

    def words(self, setting: str) -> list[str]:
        """The overrides of one compile."""
        return [*MODEL, OLD, SWEPT] if setting == SWEPT else [*MODEL, setting, "precision=int8"]

    def start(self, setting: str) -> tuple[int, int]:
        """Begin a compile, or a sweep; its process, and a pipe that says which stage begins."""
        reading, writing = os.pipe()

        def work() -> int:
            if self.unprivileged:
                drop_privileges(self.folder / INSIDE)
            return compile_here(self.words(setting), setting == SWEPT, writing)

        pid = forked(self.folder, work)
        os.close(writing)
        return pid, reading

    def undisturbed(self, setting: str) -> int:
        """Compile to the end, and learn how long each stage takes; the exit status."""
        self.last, begin = setting, time.monotonic()
        pid, reading = self.start(setting)
        heard = [(stage, time.monotonic()) for stage in lines(reading)]
        _, status = os.waitpid(pid, 0)
        end = time.monotonic()
        if setting == SWEPT:
            self.seconds[SWEEP] = end - begin
        for (stage, moment), after in zip(heard, [*(moment for _, moment in heard[1:]), end], strict=False):
            self.seconds.setdefault(stage, after - moment)
        return os.waitstatus_to_exitcode(status)


def compile_here(words: Sequence[str], sweeps: bool, said: int) -> int:
    """Compile in this process, and say into a pipe which stage begins."""
    from compiler import __main__ as program
    from compiler.config import compose
    from compiler.events import StageStarted
    from compiler.pipeline import compile_bundle
    from compiler.sources import onnx_file
    from tests.trials import TrialHere

    onnx_file.Trial = TrialHere  # type: ignore[misc]  # no stage has begun yet where that of its own process ends
    if sweeps:
        return program.main(["-m", *words])

    def listen(event: object) -> None:
        if isinstance(event, StageStarted):
            os.write(said, f"{event.stage}\n".encode())

    return compile_bundle(compose(list(words)), listen).exit_code


def lines(descriptor: int) -> Iterator[str]:
    """The lines that a process writes into a pipe, as they come."""
    with os.fdopen(descriptor) as stream:
        for line in stream:
            yield line.strip()


def make_workplace(folder: Path, network: Path, unprivileged: bool) -> Workplace:
    """A folder with an older bundle, and what each config makes where nobody disturbs it."""
    place = Workplace(folder, unprivileged)
    prepare(folder)
    write_networks(network, folder / INSIDE)
    for setting in (SWEPT, NEW, OLD):
        if code := place.undisturbed(setting):
            said = (folder / "stderr").read_text()
            raise RuntimeError(f"{setting} ends with {code} where it is not killed: {said}")
        for bundle in place.bundles:
            place.engines[bundle.name, setting] = engine_digest(bundle)
    return place


def write_networks(network: Path, folder: Path) -> None:
    """A network, and the same with another bias."""
    import onnx

    shutil.copyfile(network, folder / "old.onnx")
    model = onnx.load(network)
    weight = next(one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT)
    weight.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weight) * 1.5, weight.name))
    onnx.save(model, folder / "new.onnx")


def kill_once(place: Workplace, stage: str, setting: str, random: Random) -> bool:
    """Start a compile, and kill it at a random moment of a stage; False where it had ended before."""
    for made in place.cache.glob("*" if stage == SWEEP else f"{stage}-*"):
        shutil.rmtree(made) if made.is_dir() else made.unlink()
    pid, reading = place.start(setting)
    if stage == SWEEP:
        os.close(reading)
    else:
        heard = lines(reading)
        while next(heard, stage) != stage:
            pass
    time.sleep(random.uniform(0, place.seconds[stage]))
    os.killpg(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    hit = os.WIFSIGNALED(status)
    # How long a stage takes changes with what else the machine does.
    place.seconds[stage] *= 1.2 if hit else 0.5
    return hit


def problems_of(place: Workplace) -> Iterator[str]:
    """What is wrong with what a killed compile left behind: a bundle or a finished stage that is not whole."""
    from compiler import runtime
    from compiler.artifact import read_json, recover_folder
    from compiler.errors import CompileError
    from compiler.pipeline.cache import file_digests

    for bundle in place.bundles:
        recover_folder(bundle)
        lock = read_json(bundle / "lock.json")
        if file_digests(bundle, exclude=("lock.json",)) != lock["files"]:
            yield f"{bundle.name} is not whole"
        try:
            runtime.open(bundle)
        except CompileError as error:
            yield f"{bundle.name} does not open: {error.what}"
    for done in place.cache.glob("*/done.json"):
        if file_digests(done.parent, exclude=("done.json",)) != read_json(done)["files"]:
            yield f"the cache holds {done.parent.name}, which is not whole"


def problems_of_rerun(place: Workplace, setting: str) -> Iterator[str]:
    """What is wrong with a compile after a killed one: it is not proven, or makes something else."""
    if code := place.undisturbed(setting):
        yield f"a rerun of {setting} ends with {code}: {(place.folder / 'stderr').read_text()[-500:]}"
    for bundle in place.bundles:
        expected = place.engines.get((bundle.name, setting))
        if expected is not None and engine_digest(bundle) != expected:
            yield f"a rerun of {setting} makes another engine"
    for left in place.cache.parent.rglob("*"):
        if left.suffix in (".partial", ".old"):
            yield f"a rerun leaves {left.name} behind"


def engine_digest(bundle: Path) -> str:
    """Of what a bundle runs."""
    from compiler.artifact import file_digest

    return file_digest(bundle / "end2end.onnx")


def kill_compiles(count: int, seed: int, folder: Path, seeds: Seeds) -> Killed:
    """Kill compiles in each stage in turn, as this user and as one without rights where that can be."""
    killed, random = Killed(), Random(seed)
    network = seeds.folder / "onnx/arrays.onnx"
    users = (False, True) if can_drop_privileges(starts=True) else (False,)
    places = [make_workplace(folder / f"user{user:d}", network, user) for user in users]
    for number in range(count):
        place, stage = places[number % len(places)], (*STAGES, SWEEP)[number // len(places) % (len(STAGES) + 1)]
        setting = SWEPT if stage == SWEEP else place.other
        killed.hits[stage] += kill_once(place, stage, setting, random)
        found = (*problems_of(place), *problems_of_rerun(place, setting))
        killed.problems += [f"kill {number} in {stage}: {problem}" for problem in found]
    return killed


def told(count: int, killed: Killed) -> str:
    """What came of some kills, in words."""
    hits = f"{count} kills, {killed.hits.total()} before the end: {dict(killed.hits)}"
    return "\n".join(
        [hits, *(killed.problems or ["each left a whole bundle and a whole cache, and the rerun was proven"])]
    )


def main() -> int:
    """The exit status: 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many compiles are killed")
    parser.add_argument("--seed", type=int, default=0, help="another seed kills at other moments")
    given = parser.parse_args()
    with prepared() as (folder, seeds):
        gc.freeze()
        killed = kill_compiles(given.kills, given.seed, folder, seeds)
    print(told(given.kills, killed))
    return 1 if killed.problems else 0


if __name__ == "__main__":
    sys.exit(main())
