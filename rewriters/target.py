"""What a run compiles for, and the record of what a rewriter read of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Target:
    """What a run compiles for.

    Attributes:
        backend: Name of the backend, such as `onnxruntime`.
        ir: Name of the intermediate representation that the network is exported to.
        precision: Name of the precision, such as `fp16`.
        algo: Name of the algorithm, such as `simcc`; empty when there is none.
        exporter: What exports the network to ONNX: `dynamo` or `torchscript`.
        opset: The ONNX opset that the network is exported with.
        batch: How many items the network takes at once; None where that varies.
        versions: Installed version of each library, by name.
    """

    backend: str
    ir: str = "onnx"
    precision: str = "fp32"
    algo: str = ""
    exporter: str = "dynamo"
    opset: int = 18
    batch: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    def value_of(self, path: str) -> Any:
        """What stands at a path, as `RecordedTarget.reads` names it: `batch`, `versions.torch`, or all `versions`."""
        name, _, library = path.partition(".")
        if library:
            return self.versions.get(library)
        return dict(self.versions) if name == "versions" else getattr(self, name)


class RecordedTarget(Target):
    """A target that records what is read of it: what a result really depends on.

    It is compared, printed, copied and stored as the whole target, all of which counts as read then.

    Args:
        target: What is recorded; or its fields, as `dataclasses.replace` gives them, for a record of its own.
    """

    reads: dict[str, Any]
    """What has been read, by its path: `backend`, `versions.torch`; `versions` where they were listed."""

    def __init__(self, target: Target | None = None, **values: Any) -> None:
        reads: dict[str, Any] = {}
        if target is not None:
            values = {one.name: getattr(target, one.name) for one in fields(target)}
        super().__init__(**{**values, "versions": _RecordedVersions(values["versions"], reads)})
        object.__setattr__(self, "reads", reads)

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        # Of the versions, only those that are looked up count: they keep their own record.
        if name in Target.__dataclass_fields__ and name != "versions":
            self.reads[name] = value
        return value

    def __eq__(self, other: object) -> bool:
        return self.whole() == (other.whole() if isinstance(other, RecordedTarget) else other)

    def __hash__(self) -> int:
        return hash(self.whole())

    def __repr__(self) -> str:
        return repr(self.whole())

    def __reduce__(self) -> tuple[Any, ...]:
        return Target, tuple(vars(self.whole()).values())

    def whole(self) -> Target:
        """All of the target, without a record."""
        return Target(**{one.name: self.value_of(one.name) for one in fields(Target)})


class _RecordedVersions(Mapping[str, str]):
    def __init__(self, versions: Mapping[str, str], reads: dict[str, Any]) -> None:
        self._versions = versions
        self._reads = reads

    def __getitem__(self, library: str) -> str:
        # That a library is not there is worth knowing too.
        self._reads[f"versions.{library}"] = self._versions.get(library)
        return self._versions[library]

    def __iter__(self) -> Iterator[str]:
        # Another library would be listed too: it is not enough to record those that there are.
        self._reads["versions"] = dict(self._versions)
        return iter(self._versions)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)
