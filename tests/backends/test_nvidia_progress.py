"""The library's nested phases become one share that never falls."""

from hypothesis import given
from hypothesis import strategies as st

from compiler.backends.nvidia.build_engine import Progress

METHODS = {"start": Progress.phase_start, "step": Progress.step_complete, "finish": Progress.phase_finish}


def told(*events) -> list[tuple[float, str]]:
    reports = []
    progress = Progress(lambda share, phase: reports.append((share, phase)))
    for name, *arguments in events:
        METHODS[name](progress, *arguments)
    return reports


def test_a_step_of_the_outermost_phase_counts_in_full():
    reports = told(("start", "building", None, 4), ("step", "building", 0), ("step", "building", 1))
    assert reports == [(0.0, "building"), (0.25, "building"), (0.5, "building")]


def test_a_phase_within_it_counts_as_a_part_of_its_current_step():
    reports = told(
        ("start", "building", None, 2),
        ("step", "building", 0),
        ("start", "timing", "building", 10),
        ("step", "timing", 4),
    )
    assert reports[-1] == (0.75, "timing")


def test_a_phase_that_ends_early_takes_nothing_back():
    reports = told(
        ("start", "building", None, 2),
        ("start", "timing", "building", 10),
        ("step", "timing", 9),
        ("finish", "timing"),
        ("start", "packing", "building", 10),
    )
    assert reports[-1] == (0.5, "packing")


def test_after_an_interruption_the_build_is_to_stop_and_nothing_more_is_told():
    reports = []

    def interrupt(share, phase):
        reports.append(share)
        raise KeyboardInterrupt

    progress = Progress(interrupt)
    progress.phase_start("building", None, 2)
    assert not progress.step_complete("building", 0)
    assert not progress.step_complete("building", 1)
    assert isinstance(progress.interruption, KeyboardInterrupt)
    assert reports == [0.0]


PHASES = ("building", "optimizing", "timing", "reformatting")


@given(st.lists(st.tuples(st.sampled_from(["start", "step", "finish"]), st.integers(0, 3), st.integers(0, 50))))
def test_whatever_the_library_tells_the_share_stays_between_zero_and_one_and_never_falls(events):
    reports, running = [], set()
    progress = Progress(lambda share, phase: reports.append(share))
    for kind, depth, number in events:
        phase, parent = PHASES[depth], PHASES[depth - 1] if depth else None
        if kind == "start":
            progress.phase_start(phase, parent, number)
            running.add(phase)
        elif kind == "step" and phase in running:
            progress.step_complete(phase, number)
        elif kind == "finish":
            progress.phase_finish(phase)
            running.discard(phase)
    assert reports == sorted(reports)
    assert all(0 <= share <= 1 for share in reports)
