"""What a task's results are compared by: samples to run every stage on, and differences of what comes out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from compiler.artifact import Tensors
from compiler.artifact.source_code import import_recorded
from compiler.errors import CompileError
from compiler.tasks import AnyTask, Sample, Task
from compiler.tasks.sample import SourceT
from compiler.tasks.task import PreparedT, ResultT

if TYPE_CHECKING:
    from compiler.config.sizes import Size
    from compiler.proof.comparisons import Comparison
    from compiler.proof.ties import Judgement, Selecting


@dataclass(frozen=True)
class TaskProof(ABC, Generic[SourceT, PreparedT, ResultT]):
    """How one task is proven. A task names its own class of these, `Task.proof`.

    Attributes:
        task: What is proven.
    """

    unit: ClassVar[str]
    """Of what `difference` returns."""
    limit: ClassVar[float] = math.inf
    """The difference beyond which a user would call a result wrong, where the size of the input does not matter."""
    things: ClassVar[str] = "results"
    """What the results are, in the plural."""

    task: Task[SourceT, PreparedT, ResultT]

    @abstractmethod
    def samples(self, sample: Sample[SourceT], count: int, size: Size) -> PreparedT:
        """A batch of `count` distinct items of `size`, made out of one sample; the same arguments, the same batch."""

    def caution(self, sample: Sample[SourceT]) -> str:
        """What a user has to know of a proof that is made on a sample; empty where nothing."""
        return ""

    def other_samples(self, sample: Sample[SourceT], count: int, size: Size) -> Tensors:
        """The inputs of a batch as `samples` makes it, of other items."""
        more, axes = self.samples(sample, count + 1, size).tensors, self.task.axes
        return {name: tensor[1:] if axes[name].get(0) == "batch" else tensor for name, tensor in more.items()}

    def decode(self, outputs: Tensors, prepared: PreparedT) -> list[ResultT]:
        """The task's results in raw outputs."""
        return self.task.decode(outputs, prepared)

    def comparable(self, outputs: Tensors, like: Tensors) -> Tensors:
        """Raw outputs in the form in which they are compared.

        Args:
            outputs: What a stage gave.
            like: What the reference gave: where rounding may change the order of items, they are put in its order.
        """
        return outputs

    def count(self, outputs: Tensors) -> int:
        """How many numbers of the raw outputs say something; where it is none, comparing them proves nothing."""
        return sum(tensor.size for tensor in outputs.values())

    def found(self, results: Sequence[ResultT]) -> int:
        """How many of `things` there are in a list of results."""
        return len(results)

    def is_tied(self, outputs: Tensors) -> bool:
        """Whether what the network has selected came in no order but that of rounding: others would do as well."""
        return False

    def compare_candidates(self, reference: Tensors, pool: Tensors, size: str = "") -> list[Comparison]:
        """What a stage selects from, compared; see `is_tied`.

        Args:
            reference: What the network selects from, by name.
            pool: All that the stage computes before it selects.
            size: Of the input.
        """
        raise NotImplementedError

    def judge_selection(self, reference: Tensors, stage: Selecting, prepared: PreparedT, margin: float) -> Judgement:
        """What a stage selects from, compared, and whether it selects rightly; see `is_tied`.

        Args:
            reference: What the network selects from, by name.
            stage: What the stage does.
            prepared: The input.
            margin: What rounding may do to scores, where only a stage's outputs are known.
        """
        raise NotImplementedError

    def judge_outputs(self, reference: Tensors, stage: Selecting, margin: float) -> Judgement:
        """Whether what a stage has selected is rightly selected from what the network selects from; see `is_tied`.

        Args:
            reference: What the network selects from, by name.
            stage: What the stage does; nothing is known of it but its outputs.
            margin: What rounding may do to scores.
        """
        raise NotImplementedError

    @property
    def thresholds(self) -> tuple[float, ...]:
        """The scores below which the network itself drops what it finds; it selects nothing where there are none."""
        return ()

    def allowed(self, prepared: PreparedT) -> float:
        """The difference beyond which a user would call a result for this input wrong, in `unit`."""
        return self.limit

    def decoded_difference(self, reference: Tensors, found: Tensors, prepared: PreparedT) -> float:
        """How far what two raw outputs are decoded to is apart, in `unit`."""
        return self.difference(self.decode(reference, prepared), self.decode(found, prepared))

    @abstractmethod
    def difference(self, a: Sequence[ResultT], b: Sequence[ResultT]) -> float:
        """How far two lists of results for one input are apart, in `unit`; infinity if they cannot be paired."""


AnyProof = TaskProof[Any, Any, Any]
"""The proof of a task whose kind does not matter to the caller."""


def proof_of(task: AnyTask) -> AnyProof:
    """What a task is proven by, as its class names it.

    Raises:
        CompileError: The class names nothing, or something else than a `TaskProof`.
    """
    kind, entry = type(task), getattr(task, "proof", "")
    module, _, name = entry.partition(":")
    try:
        found = getattr(import_recorded(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise _unproven(kind, entry, str(error)) from error
    if not (isinstance(found, type) and issubclass(found, TaskProof)):
        raise _unproven(kind, entry, "it is no compiler.proof.TaskProof")
    return found(task)


def _unproven(kind: type, entry: str, why: str) -> CompileError:
    return CompileError(
        f"the task {kind.__name__} does not say how it is proven",
        where=f"{kind.__module__}.{kind.__qualname__}.proof = {entry!r}",
        why=why,
        fix="name a class that derives from compiler.proof.TaskProof there: package.module:Class; see docs/tasks.md",
    )
