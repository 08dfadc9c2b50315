"""The grammar of deploy names: a run is named after its config, and its name alone rebuilds that config.

    <task>_<algo>_<backend>[-<precision>]_<dynamic|static>[_<shape>[-<largest shape>]]

MMDeploy's own spelling is understood too: a hyphen before the shape, and the algorithm left out.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from compiler.config.sizes import Size, size_text
from compiler.errors import UsageError, nearest

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
AUTO = "auto"
"""The one of them that is the fastest where it is compiled; a name has the one that was chosen."""

_SHAPE = re.compile(r"(?P<kind>dynamic|static)(?:[_-](?P<usual>\d+(?:x\d+)*)(?:-(?P<largest>\d+(?:x\d+)*))?)?")
_GRAMMAR = "<task>_<algo>_<backend>[-<precision>]_<dynamic|static>[_<shape>[-<largest shape>]]"
_VARIANT = "+"
_EXAMPLE = "pose-detection_simcc_onnxruntime_dynamic_256x192"


@dataclass(frozen=True)
class Shape:
    """The last part of a deploy name: what is fixed when the engine is built, and at which size.

    Attributes:
        dynamic: Whether the batch (and, where the model allows it, the size) can vary in the engine.
        usual: Height x width, or channels x height x width; empty for the model's own size.
        largest: The largest size of a range that starts at `usual`; empty where the size does not vary.
    """

    dynamic: bool
    usual: Size = ()
    largest: Size = ()

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read `dynamic`, `static_256x192` or `dynamic_1x32x32-1x32x640`.

        Raises:
            UsageError: The text is not of that form, a size is zero, or the range is upside down.
        """
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise UsageError(
                f"'{text}' is not a shape",
                where="shape",
                why="a shape is dynamic or static, then a size: height x width",
                fix="write for example shape=dynamic, shape=static_256x192 or shape=dynamic_320x320-1344x1344",
            )
        shape = cls(match["kind"] == "dynamic", _size(match["usual"]), _size(match["largest"]))
        shape._check(text)
        return shape

    def _check(self, text: str) -> None:
        if 0 in self.usual + self.largest:
            raise UsageError(f"the shape '{text}' has a side of zero", where="shape", fix="give every side a length")
        if not self.largest:
            return
        if not self.dynamic:
            raise UsageError(
                f"the static shape '{text}' has two sizes",
                where="shape",
                why="a static engine has exactly one size",
                fix=f"write static_{size_text(self.usual)}, or dynamic for a range of sizes",
            )
        if len(self.usual) != len(self.largest):
            raise UsageError(
                f"the two sizes of '{text}' do not have the same sides",
                where="shape",
                fix=f"write all sides of both, for example dynamic_{size_text(self.usual)}-{size_text(self.usual)}",
            )
        sides = list(zip(self.usual, self.largest, strict=True))
        if any(low > high for low, high in sides):
            smallest, largest = size_text(tuple(map(min, sides))), size_text(tuple(map(max, sides)))
            raise UsageError(
                f"the shape '{text}' does not run from small to large",
                where="shape",
                fix=f"write the smaller size first, for example dynamic_{smallest}-{largest}",
            )

    def with_default(self, usual: Sequence[int]) -> Shape:
        """This shape with the model's own size filled in where none was given."""
        return self if self.usual else Shape(self.dynamic, tuple(usual))

    def __str__(self) -> str:
        kind = "dynamic" if self.dynamic else "static"
        size = "-".join(size_text(size) for size in (self.usual, self.largest) if size)
        return f"{kind}_{size}" if size else kind


@dataclass(frozen=True)
class DeployName:
    """A deploy name, taken apart.

    Attributes:
        task: For example `pose-detection`.
        algo: An algorithm of MMDeploy's (`simcc`) or the name of a model (`rtmpose-s`); None where it was left out.
        backend: A backend config, for example `onnxruntime`.
        precision: One of `PRECISIONS`; a name without one means fp32.
        shape: What is fixed, and at which size.
        variant: The digest of what else sets the run apart, which no name can hold; empty where nothing does.
    """

    task: str
    algo: str | None
    backend: str
    precision: str
    shape: Shape
    variant: str = ""

    @classmethod
    def parse(cls, name: str, backends: Collection[str]) -> DeployName:
        """Take a deploy name apart, in our spelling or in MMDeploy's.

        Args:
            name: For example `detection_tensorrt-fp16_dynamic-320x320-1344x1344`.
            backends: The backends that exist: their names may hold an underscore, so the grammar needs to know them.

        Raises:
            UsageError: The name does not follow the grammar, or names an unknown backend.
        """
        _refuse_variant(name)
        match = _pattern("|".join(map(re.escape, backends))).fullmatch(name)
        if match is None:
            raise _not_a_name(name, backends)
        return cls(
            task=match["task"],
            algo=match["algo"],
            backend=match["backend"],
            precision=match["precision"] or "fp32",
            shape=Shape.parse(match["shape"]),
        )

    def __str__(self) -> str:
        backend = self.backend if self.precision == "fp32" else f"{self.backend}-{self.precision}"
        name = "_".join(part for part in (self.task, self.algo, backend, str(self.shape)) if part)
        return f"{name}{_VARIANT}{self.variant}" if self.variant else name


def _refuse_variant(name: str) -> None:
    plain, mark, digest = name.rpartition(_VARIANT)
    if mark and re.fullmatch(r"v[0-9a-f]{7}", digest):
        raise UsageError(
            f"'{digest}' stands for settings that a name cannot hold",
            where=f"deploy={name}",
            why="it is a digest of them",
            fix=f"write deploy={plain} and the overrides again; the bundle's config.yaml has them",
        )


def _pattern(backends: str) -> re.Pattern[str]:
    return re.compile(
        r"(?P<task>[a-z0-9]+(?:-[a-z0-9]+)*)"
        r"(?:_(?P<algo>[a-z0-9+.]+(?:-[a-z0-9+.]+)*))?"
        rf"_(?P<backend>{backends})"
        rf"(?:-(?P<precision>{'|'.join(PRECISIONS)}))?"
        r"_(?P<shape>(?:dynamic|static)(?:[_-][0-9x-]+)?)"
    )


def _not_a_name(name: str, backends: Collection[str]) -> UsageError:
    anything = _pattern(r"[a-z0-9]+(?:_rtx)?").fullmatch(name)
    if anything is not None:
        return UsageError(
            f"the deploy name '{name}' names an unknown backend",
            where=f"deploy: '{anything['backend']}'",
            fix=nearest(anything["backend"], backends),
        )
    return UsageError(
        f"'{name}' is not a deploy name",
        where="deploy",
        why=f"a name is {_GRAMMAR}, with a precision of {', '.join(PRECISIONS)}",
        fix=f"for example deploy={_EXAMPLE}",
    )


def _size(text: str | None) -> Size:
    return tuple(int(side) for side in text.split("x")) if text else ()
