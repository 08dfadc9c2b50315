"""ONNX files that hold all that they compute, as those in bundles do. Told without onnx, which opening needs not.

Not every version of ONNX Runtime refuses a file whose numbers are said to lie in `../../secret`, and some of its
execution providers take a node for a compiled engine, in the file or in another, and run what is in it.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from compiler.artifact import reading
from compiler.errors import CompileError

PARTS: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {4: "operator", 5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
"""Where tensors are in the messages of onnx.proto: by the kind of message, the kind of part in each of its fields."""
COMPILED = b"EPContext"
"""The operator that stands for what an execution provider has compiled."""
FOREIGN = {
    "external": (
        "keeps numbers in other files",
        "an ONNX file in a bundle holds all of its own, and would be given what another file holds",
    ),
    "operator": (
        "brings an engine that was compiled already",
        f"{COMPILED.decode()} hands what it holds or names to an execution provider, unseen",
    ),
}
"""What is none of a file's own, by the kind of part, with why it is refused."""
VARINT, LENGTH_DELIMITED = 0, 2
"""How protobuf writes a field: as a number of any length, or with its length before it."""
LARGEST_SHIFT = 63
LARGEST_TAG = 2**32 - 1
"""Of a field: its number, and how it is written. Some parsers cut a larger one off, and so read another field."""
SIZES = {1: 8, 5: 4}
"""Bytes of the fields that it writes in another way."""


def require_self_contained(path: Path) -> None:
    """Refuse an ONNX file that keeps numbers in other files, or brings what was compiled already.

    Raises:
        CompileError: It does, or is no ONNX file.
    """
    with (
        reading(path, f"{path.name} is not a valid ONNX file", fix="export or copy it again"),
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        foreign = _foreign(content)
    if foreign:
        what, why = FOREIGN[foreign]
        raise CompileError(
            f"{path.name} {what}",
            where=str(path),
            why=why,
            fix="do not trust what you were given; where it is yours, compile the bundle again",
        )


def _foreign(content: mmap.mmap) -> str:
    """The kind of the first part that is none of the file's own, as in `FOREIGN`; empty where there is none."""
    parts = [("model", 0, len(content))]
    while parts:
        kind, begin, end = parts.pop()
        if kind == "external" or (kind == "operator" and content[begin:end] == COMPILED):
            return kind
        if kind in PARTS:
            inner, found = PARTS[kind], _fields(content, begin, end)
            parts += [(inner[field], start, stop) for field, start, stop in found if field in inner]
    return ""


def _fields(content: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number of each field of a message that has a length, and where what is in it begins and ends."""
    while at < end:
        tag, at = _tag(content, at)
        kind = tag & 7
        if kind == LENGTH_DELIMITED:
            size, at = _varint(content, at)
            if at + size > end:
                raise ValueError("a part of it ends behind the whole")
            yield tag >> 3, at, at + size
            at += size
        elif kind == VARINT:
            _, at = _varint(content, at)
        elif kind in SIZES:
            at += SIZES[kind]
        else:
            raise ValueError(f"protobuf has no field of the kind {kind}")


def _tag(content: mmap.mmap, at: int) -> tuple[int, int]:
    """The tag of a field and where it ends; one that not every parser takes for the same is refused."""
    tag, end = _varint(content, at)
    shortest = max(1, -(-tag.bit_length() // 7))
    if not tag >> 3 or tag > LARGEST_TAG or end - at != shortest:
        raise ValueError("the tag of a field is not written as protobuf writes it")
    return tag, end


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    """A number, seven bits to a byte, and where it ends."""
    value = shift = 0
    while content[at] & 0x80:
        if shift > LARGEST_SHIFT:
            raise ValueError("protobuf has no number of more than 64 bits")
        value |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | content[at] << shift, at + 1
