"""What MMDeploy's SDK is told of one task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from compiler.tasks import AnyTask

if TYPE_CHECKING:
    from compiler.config.sizes import SizeRange

TaskT = TypeVar("TaskT", bound=AnyTask)


@dataclass(frozen=True)
class SdkModel(ABC, Generic[TaskT]):
    """A task in MMDeploy's words.

    Attributes:
        task: What is described.
    """

    task_name: ClassVar[str]
    """What the SDK calls the task, the `task` of `deploy.json`."""
    model_name: ClassVar[str]
    """What it calls the network, the `models[0].name` of `deploy.json`."""

    task: TaskT

    @abstractmethod
    def pipeline(self, batched: bool = True, sizes: SizeRange | None = None) -> dict[str, Any] | None:
        """What `pipeline.json` holds, so that the SDK prepares and decodes as the task does.

        None where the SDK has no such decoder that runs.

        Args:
            batched: Whether the engine takes more than one item at once.
            sizes: What the engine takes; None for any size that the model's own pipeline makes.
        """

    @abstractmethod
    def codebase(self) -> dict[str, Any]:
        """The `codebase_config` of `detail.json`: the OpenMMLab codebase (`type`) and its `task`."""
