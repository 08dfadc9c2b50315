"""How a case ended, and which of the ways to end are faults."""

from __future__ import annotations

import json
import os
import re
import signal
import unicodedata
from dataclasses import dataclass
from enum import Enum

from tests.hostile.watch import ESCAPE, EXECUTION


class Fault(Enum):
    """What no input may lead to. The values are the columns of the table."""

    TRACEBACK = "traceback"
    DEFECT = "defect"
    CRASH = "crash"
    HANG = "hang"
    MEMORY = "memory"
    MESSAGES = "messages"
    EXECUTION = EXECUTION
    ESCAPE = ESCAPE


DEFECT = "this is a defect in the compiler"
TOO_LARGE = ("MemoryError", "bad_alloc", "Insufficient memory", "Unable to allocate", "Cannot allocate memory")
"""What is said where memory was asked for that the limit does not leave. ONNX Runtime's arena says it otherwise: a
graph may compute a size that no machine has."""
CONTINUED = "  "
"""How every line of a message begins but the first."""
WARNING = "warning: "
"""How a line begins that tells of a result what a user has to know."""
LONGEST = 4000
"""Characters that one message may have."""
CODES = (0, 1, 2, 3)
LARGEST = 2 << 30
"""Bytes of memory that a case may take beyond what it started with."""


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        status: Of `os.waitpid`.
        stdout: What it wrote.
        stderr: What it wrote.
        records: What the watch recorded, as lines of JSON.
        grown: Bytes of memory that it took beyond what it started with.
        touched: What lies outside of its folder and was read or changed.
        seconds: Of a processor that it took.
    """

    status: int
    stdout: str
    stderr: str
    records: str = ""
    grown: int = 0
    touched: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def code(self) -> int:
        """Its exit status; negative where a signal ended it."""
        return os.waitstatus_to_exitcode(self.status)


def faults_of(ended: Ended) -> dict[Fault, str]:
    """What was wrong with how a case ended, each with a line about it; nothing where all was well."""
    found: dict[Fault, str] = {}
    for line in ended.records.splitlines():
        kind, event, detail = json.loads(line)
        found.setdefault(Fault(kind), f"{event} {detail}")
    if ended.touched:
        found.setdefault(Fault.ESCAPE, f"outside of its folder: {', '.join(ended.touched)}")
    if any(word in ended.stderr for word in TOO_LARGE) or ended.grown > LARGEST:
        found[Fault.MEMORY] = f"{ended.grown >> 20} MiB: {_last_line(ended.stderr)}"
    if -ended.code in (signal.SIGXCPU, signal.SIGALRM):
        found[Fault.HANG] = "it did not end"
    elif ended.code < 0:
        found[Fault.CRASH] = f"{signal.Signals(-ended.code).name} {_last_line(ended.stderr)}"
    elif "Traceback (most recent call last)" in ended.stderr:
        found[Fault.TRACEBACK] = _last_line(ended.stderr)
    elif DEFECT in ended.stderr:
        if Fault.MEMORY not in found:
            found[Fault.DEFECT] = next(line for line in ended.stderr.splitlines() if line.startswith("error:"))
    elif (wrong := _wrong_message(ended)) is not None:
        found[Fault.MESSAGES] = wrong
    return found


def was_refused(ended: Ended) -> bool:
    """Tell whether the case ended with a message."""
    return ended.code in (1, 2) and bool(ended.stderr)


def signature(fault: Fault, line: str) -> str:
    """What faults have in common that are one: the line, without its numbers and names."""
    bare = re.sub(r"0x[0-9a-f]+|/[^\s:,'\"]*|'[^']*'|\"[^\"]*\"|\d+", "…", line)
    return f"{fault.value}: {bare[:110]}"


def _wrong_message(ended: Ended) -> str | None:
    """What is wrong with what a user is shown: it is warnings of ours on success, and one message on failure."""
    text = ended.stderr
    if ended.code not in CODES:
        return f"the exit status {ended.code} is not documented"
    control = next((one for one in text + ended.stdout if _is_control(one)), None)
    if control is not None:
        return f"a control character {control!r} is shown"
    if not text:
        return None if ended.code in (0, 3) or ended.stdout else f"exit status {ended.code} without a message"
    lines = [line for line in text.rstrip("\n").split("\n") if not line.startswith(WARNING)]
    if ended.code in (0, 3):
        return f"said beside success: {lines[0]:.160}" if lines else None
    first, *others = lines or [""]
    if not first.startswith("error: "):
        return f"said beside the message: {first:.160}"
    for line in others:
        if not line.startswith(CONTINUED):
            return f"said beside the message: {line:.160}"
    if len(text) > LONGEST:
        return f"a message of {len(text)} characters: {first:.100}"
    return None


def _is_control(character: str) -> bool:
    return (character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs")) or character in "\u202e\u2028"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
