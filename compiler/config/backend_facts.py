"""What the class of a backend knows about itself, which is more than a config is asked: see `compiler.backends`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from compiler.artifact import OnnxProgram, Program
from compiler.config.instantiate import find_class


@dataclass(frozen=True)
class StandIn:
    """What is computed in place of an engine.

    Attributes:
        word: For it, as in the name of the stage: the engine was `interpreted`.
        done: What was done, in words.
    """

    word: str
    done: str


class BackendFacts:
    """The facts about a backend. A config is checked against them before anything is imported that builds engines."""

    TITLE: ClassVar[str] = ""
    """What people call it."""
    PROGRAM: ClassVar[type[Program]] = OnnxProgram
    """The kind of Program that it reads."""
    PRECISIONS: ClassVar[tuple[str, ...]] = ("fp32",)
    """What an engine of it can be built in."""
    OWN_PRECISIONS: ClassVar[tuple[str, ...]] = ()
    """Those of them that it makes of a Program in fp32 by itself; the others are written into an ONNX Program first."""
    KEEPS_FP32: ClassVar[tuple[str, ...]] = ()
    """Those of its own in which it leaves in fp32 what the config names: a `BuildRequest` has `keep_fp32` then."""
    INT8_IN_GRAPH: ClassVar[str] = ""
    """The override with which int8 is written into the graph, of a backend that quantises by itself unless told."""
    REFUSED_PRECISIONS: ClassVar[Mapping[str, str]] = {}
    """Why it is not built in one that its library knows, by precision."""
    TIMED: ClassVar[bool] = False
    """Whether an engine in a lower precision is run in turns with one in fp32, which is built quickly then."""
    EXPORTER: ClassVar[str] = "auto"
    """The exporter that it needs, where the default one does not do."""
    TAIL: ClassVar[str] = "native"
    """Where a detector's boxes are selected unless the config says otherwise: see `DetectionTail`."""
    PROFILED: ClassVar[bool] = False
    """Whether engines are built for ranges of shapes: a `BuildRequest` has profiles then."""
    LOCAL: ClassVar[tuple[str, ...]] = ()
    """Options, None unless given, that are about the machine that compiles: an engine neither keeps nor brings one."""
    DEFERRED_BUILD: ClassVar[bool] = False
    """Whether an engine can be built elsewhere, from what a compile leaves in its bundle."""
    TRITON: ClassVar[str] = ""
    """The backend of Triton Inference Server that runs its engines; empty where none does."""
    STAND_IN: ClassVar[StandIn | None] = None
    """What is computed for the proof in place of an engine that cannot be run here; it then holds for no device."""


def backend_facts(node: Mapping[str, Any]) -> type[BackendFacts]:
    """The class of a backend, by its config node. Its library is not imported.

    Raises:
        UsageError: The node names no class of a backend.
    """
    return find_class(str(node["_target_"]), BackendFacts, "backend._target_", kind="Backend")
