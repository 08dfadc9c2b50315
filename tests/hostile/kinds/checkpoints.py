"""Checkpoints: members of the zip file, the pickle in it, the header of safetensors."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path
from random import Random
from typing import Any

from tests.hostile import mutate
from tests.hostile.case import Case
from tests.hostile.seeds import Seeds

GLOBALS = (
    *(b"os\nsystem\n", b"builtins\neval\n", b"builtins\nexec\n", b"subprocess\nPopen\n", b"this\ns\n"),
    *(b"torch\nload\n", b"torch._utils\n_rebuild_tensor_v2\n", b"torch._utils\n_rebuild_parameter\n", b"numpy\nload\n"),
    *(b"collections\nOrderedDict\n", b"builtins\ngetattr\n", b"torch\nFloatStorage\n", b"pathlib\nPosixPath\n"),
    *(b"mmengine.config.config\nConfigDict\n", b"torch.serialization\n_get_layout\n", b"torch\nSize\n", b"\n\n"),
)
ARGUMENTS = (b"X\x0c\x00\x00\x00touch called", b"K\x05", b"]", b"}", b"N", b"(lp0\n", b"X\x00\x00\x00\x00")


def checkpoint(random: Random, seeds: Seeds, folder: Path) -> Case:
    """A checkpoint from somebody, read for its weights."""
    make = random.choice((_zip_members, _zip_members, _pickle, _pickle, _content, _safetensors, _safetensors, _legacy))
    path = folder / ("weights.safetensors" if make is _safetensors else "weights.pth")
    path.write_bytes(make(random))
    if random.random() < 0.3:
        return Case(["publish", path.name, "mine.pth", "--json"], said=f"{make.__name__}, published")

    def read() -> None:
        from compiler.checkpoint import read_checkpoint

        read_checkpoint(path)

    return Case(call=read, said=make.__name__)


def _saved(**options: Any) -> bytes:
    import torch

    file = io.BytesIO()
    weights = {"conv.weight": torch.ones(4, 3, 3, 3), "conv.bias": torch.zeros(4), "half": torch.ones(2).half()}
    torch.save({"state_dict": weights, "meta": {"epoch": 1, "text": "x"}}, file, **options)
    return file.getvalue()


def _content(random: Random) -> bytes:
    return mutate.content(random, _saved())


def _legacy(random: Random) -> bytes:
    return mutate.content(random, _saved(_use_new_zipfile_serialization=False))


def _zip_members(random: Random) -> bytes:
    """Members that are missing, twice, elsewhere, other, or much larger than they seem."""
    with zipfile.ZipFile(io.BytesIO(_saved())) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = random.randrange(len(members))
    name, data = members[place]
    match random.randrange(6):
        case 0:
            del members[place]
        case 1:
            members.append((name, mutate.content(random, data)))
        case 2:
            members[place] = (random.choice((*mutate.PATHS[:8], name + "x", "archive/data.pkl")), data)
        case 3:
            members[place] = (name, random.choice((b"", b"\0" * 3_000_000, data[:-1], b"little", b"big")))
        case _:
            members[place] = (name, mutate.content(random, data))
    file = io.BytesIO()
    kind = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    import warnings

    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as archive:
        warnings.simplefilter("ignore")
        for name, data in members:
            archive.writestr(name.replace("\x00", "_") or "_", data)
    return file.getvalue()


def _pickle(random: Random) -> bytes:
    """A pickle that calls something, within a zip file or alone."""
    with zipfile.ZipFile(io.BytesIO(_saved())) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    own = next(name for name in members if name.endswith("data.pkl"))
    called = (
        b"c" + random.choice(GLOBALS) + random.choice(ARGUMENTS) + random.choice((b"\x85R", b"\x86R", b"b", b"\x81"))
    )
    data = members[own]
    place = random.choice((2, len(data) - 1, random.randrange(2, len(data))))
    members[own] = random.choice((data[:place] + called + data[place:], b"\x80\x02" + called + b"."))
    if random.random() < 0.2:
        members[own] = _nested_pickle(random)
    if random.random() < 0.2:
        return members[own]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def _nested_pickle(random: Random) -> bytes:
    value: Any = random.choice((0, "x", None, 2**4000, b"x", 1.5))
    for _ in range(random.choice((1, 50, 400))):
        value = random.choice(([value], {"state_dict": value}, (value,), {0: value}))
    return pickle.dumps(value, protocol=2)


def _safetensors(random: Random) -> bytes:
    """Headers that lie: about lengths, offsets, types and shapes."""
    header: Any = {
        "conv.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "half": {"dtype": "F16", "shape": [4], "data_offsets": [16, 24]},
        "__metadata__": {"format": "pt"},
    }
    if random.random() < 0.8:
        header = mutate.tree(random, header)
    text = mutate.as_json(header).encode("utf-8", "surrogatepass")
    length = random.choice((len(text), len(text), len(text), 0, 1, len(text) + 9, 2**31, 2**63, 2**64 - 1))
    data = struct.pack("<Q", length) + text + b"\0" * random.choice((24, 24, 0, 23, 1000))
    return mutate.content(random, data) if random.random() < 0.2 else data
