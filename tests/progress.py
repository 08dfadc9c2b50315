"""What the suite was doing when it is ended from outside, and where its time went."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from types import FrameType

import pytest

SLOWEST = 15


class Progress:
    """Tells which tests run, and which files took the time, at the end of a run: also where a signal ends it.

    A suite that a limit of time ends from outside would otherwise say nothing of what it was waiting for.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.begun = time.monotonic()
        self.running: dict[str, float] = {}
        self.seconds: Counter[str] = Counter()
        self.tenths: list[float] = []
        self.ended = 0
        self.expected = 0
        signal.signal(signal.SIGTERM, self._end)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.expected = len(session.items)

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.expected = len(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.running[nodeid] = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid.partition("::")[0]] += report.duration

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.running.pop(nodeid, None)
        self.ended += 1
        if self.expected and self.ended * 10 // self.expected > len(self.tenths):
            self.tenths.append(time.monotonic() - self.begun)

    @pytest.hookimpl(optionalhook=True)
    def pytest_handlecrashitem(self, crashitem: str, sched: object) -> None:
        """A test has ended its process: the rest of its file is run, and not it again.

        pytest-xdist 3.8 hands out the files of that process once more, whole ones too: whoever gets one of which
        nothing is left to run asks for no other, and the run never ends.
        """
        waiting: dict[str, dict[str, bool]] = getattr(sched, "workqueue", {})
        for file, tests in list(waiting.items()):
            if crashitem in tests:
                tests[crashitem] = True
            if all(tests.values()):
                del waiting[file]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.expected > SLOWEST * SLOWEST:  # whoever runs a few files sees them
            terminalreporter.write_line(self.told())

    def told(self) -> str:
        """The run so far, in a few lines."""
        now = time.monotonic()
        pace = ", ".join(f"{10 * (place + 1)} % at {at / 60:.1f}" for place, at in enumerate(self.tenths))
        slowest = ", ".join(f"{file} {seconds:.0f}" for file, seconds in self.seconds.most_common(SLOWEST))
        waiting = [f"has run for {now - start:.0f} s: {nodeid}" for nodeid, start in self.running.items()]
        ended = f"{self.ended} of {self.expected} tests, {sum(self.seconds.values()):.0f} s of tests"
        return "\n".join([ended, f"slowest, s: {slowest}", f"pace, minutes: {pace}", *waiting])

    def _end(self, number: int, frame: FrameType | None) -> None:
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        with self.config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
            reporter.write_line(f"\nended by {signal.Signals(number).name} after {self.told()}")
            reporter.flush()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
