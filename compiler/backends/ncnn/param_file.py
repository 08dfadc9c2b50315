"""The `.param` file: an ncnn network's layers as text, in the order they run.

ncnn believes what it says, so what comes from a stranger is read here first.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.artifact import read_given, reading, write_text

PARAM_FILE, WEIGHTS_FILE = "end2end.param", "end2end.bin"
"""An engine, whatever its sidecar says: the names that MMDeploy's SDK and its users know."""
MAGIC = "7767517"
LARGEST_PARAM = 16 * 2**20
"""Bytes; a network of ten thousand layers has one."""
LONGEST_NAME = 255
"""Characters of a word, which ncnn reads no further."""
FOREIGN = re.compile(r"[^ -~\n]")
"""What separates words for Python or for ncnn alone, and what is no text."""
NUMBERS = r"[^\",]{1,15}(,[^\",]{1,15})*"
"""Each as long as ncnn reads it: what is left of a longer one would be its next word."""
PARAMETER = re.compile(rf'(\d\d?|-233\d\d)=({NUMBERS}|"[^"]*")')


@dataclass(frozen=True)
class Layer:
    """One layer.

    Attributes:
        kind: Its type, such as `Convolution`.
        name: Its own.
        inputs: The blobs that it reads.
        outputs: The blobs that it writes.
        values: Its parameters, each as `id=value`.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = map(str, (len(self.inputs), len(self.outputs)))
        return " ".join((f"{self.kind:24}", f"{self.name:24}", *counts, *self.inputs, *self.outputs, *self.values))


def read_param(path: Path) -> tuple[Layer, ...]:
    """The layers of a `.param` file, which agree with one another.

    Raises:
        CompileError: The file is missing, or says what no network of ncnn's does.
    """
    fix = "compile it again"
    with reading(path, f"{path.name} is no network of ncnn's", fix=fix):
        lines = _lines(read_given(path, path.name, fix=fix, largest=LARGEST_PARAM).decode("ascii"))
        if lines[:1] != [MAGIC]:
            raise ValueError(f"it does not begin with {MAGIC}")
        layers = tuple(_layer(line) for line in lines[2:] if line.strip())
        _check_blobs(layers)
        if lines[1].split() != _counts(layers):
            raise ValueError(f"it has {' layers and '.join(_counts(layers))} blobs, and says {lines[1]:.60}")
    return layers


def write_param(path: Path, layers: Collection[Layer]) -> None:
    """Write a `.param` file."""
    write_text(path, "\n".join((MAGIC, " ".join(_counts(layers)), *map(str, layers))) + "\n")


def renamed(layers: Iterable[Layer], names: Mapping[str, str]) -> tuple[Layer, ...]:
    """Layers whose blobs have other names."""
    return tuple(
        replace(layer, inputs=_renamed(layer.inputs, names), outputs=_renamed(layer.outputs, names)) for layer in layers
    )


def _renamed(blobs: Iterable[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(blob, blob) for blob in blobs)


def _lines(text: str) -> list[str]:
    """The lines of a file that ncnn divides into the same words: its `scanf` knows other separators than Python."""
    text = text.replace("\r\n", "\n")
    if foreign := FOREIGN.search(text):
        raise ValueError(f"it holds {foreign[0]!r}, and nothing but printable ASCII, spaces and ends of lines is read")
    return text.split("\n")


def _layer(line: str) -> Layer:
    words = line.split(" ")
    kind, name, inputs, outputs, *rest = filter(None, words)
    if any(len(word) > LONGEST_NAME for word in words):
        raise ValueError(f"a word in {name:.60} is longer than {LONGEST_NAME} characters")
    if not kind[0].isalpha():  # ncnn would take it for a parameter of the layer before
        raise ValueError(f"{kind:.60} is no type of a layer")
    read, written = _count(inputs), _count(outputs)
    if read + written > len(rest):
        raise ValueError(f"{name:.60} names {len(rest)} blobs, and says {read} and {written}")
    blobs, values = rest[: read + written], rest[read + written :]
    for value in values:
        if not PARAMETER.fullmatch(value):
            raise ValueError(f"{value:.60} in {name:.60} is no parameter of a layer")
    return Layer(kind, name, tuple(blobs[:read]), tuple(blobs[read:]), tuple(values))


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text:.60} is no number of blobs")
    return int(text)


def _counts(layers: Collection[Layer]) -> list[str]:
    return [str(len(layers)), str(sum(len(layer.outputs) for layer in layers))]


def _check_blobs(layers: Iterable[Layer]) -> None:
    """Each blob is written once, and before it is read; ncnn reads each one once."""
    written: set[str] = set()
    read: set[str] = set()
    for layer in layers:
        for blob in layer.inputs:
            if blob not in written or blob in read:
                raise ValueError(f"{layer.name:.60} reads {blob:.60}, which is not there")
            read.add(blob)
        for blob in layer.outputs:
            if blob in written:
                raise ValueError(f"{layer.name:.60} writes {blob:.60}, which is there already")
            written.add(blob)
