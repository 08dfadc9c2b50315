"""The line of stages: each runs through the cache, is told of, and is remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from compiler.artifact import digest
from compiler.errors import CompileError
from compiler.events import Listener, StageFinished, StageStarted
from compiler.pipeline.cache import Cache
from compiler.stages import Artifact, ProgramArtifact, Stage
from rewriters import RewriterCodeError, RewriterError


@dataclass(frozen=True)
class Line:
    """Runs stages, one after the other.

    Attributes:
        cache: Where finished stages are kept.
        listen: Told what happens.
        finished: What each stage took, in the order they ran.
    """

    cache: Cache
    listen: Listener
    finished: list[StageFinished] = field(default_factory=list)

    def run(self, stage: Stage) -> Artifact:
        """What a stage makes, made now or before.

        Raises:
            CompileError: It cannot be made.
        """
        self.listen(StageStarted(stage.NAME))
        try:
            result = self.cache.get(stage.NAME, stage.key, stage.run, stage.observations)
        except RewriterCodeError as failure:
            raise _told(failure) from failure
        except RewriterError as error:
            raise CompileError("a rewriter failed", where="rewriters", why=str(error)) from error
        self.finished.append(StageFinished(stage.NAME, result.seconds, result.cached, result.detail))
        self.listen(self.finished[-1])
        return Artifact(result.digest, result.folder)

    def run_program(self, stage: Stage) -> ProgramArtifact:
        """The Program that a stage makes."""
        return ProgramArtifact.left_by(self.run(stage))

    def run_into(self, folder: Path, stage: Stage) -> Artifact:
        """What a stage makes in a folder that is there already, such as a bundle's; the cache is passed by."""
        self.listen(StageStarted(stage.NAME))
        begin = perf_counter()
        detail = stage.run(folder)
        self.finished.append(StageFinished(stage.NAME, perf_counter() - begin, False, detail))
        self.listen(self.finished[-1])
        return Artifact(digest(stage.key), folder)


def _told(failure: RewriterCodeError) -> CompileError:
    """What a user sees of a rewriter that failed."""
    place = f", at {failure.where}" if failure.where else ""
    return CompileError(
        f"{failure.rewriter} failed",
        where=f"{failure.line}{place}",
        why=failure.why,
        fix=f"correct it, or leave it out: rewriters.disable=[{failure.name}]",
    )
