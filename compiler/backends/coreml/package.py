"""A package, looked at before anything opens it: what it names lies in it.

Its manifest says where in `Data` the model and the folder of its weights lie, and the model says which file of that
folder a weight is in. Core ML and coremltools follow both, wherever they lead.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from compiler.artifact import files_in, inside, read_given, reading

MANIFEST = "Manifest.json"
DATA = "Data"
WEIGHTS_FOLDER = "weights"
WEIGHTS = f"@model_path/{WEIGHTS_FOLDER}/"
"""What the name of a file of weights begins with in a model."""
LARGEST_MANIFEST = 2**20
LARGEST_MODEL = 2**30
"""Bytes of a model without its weights."""


def require_own_files(package: Path) -> None:
    """Refuse a package that names files outside of it, or holds links that lead out.

    Raises:
        CompileError: It does, or is no package of one ML Program.
    """
    fix = "get the bundle again from where it came from, or compile it again"
    with reading(package, f"{package.name} is no ML Program", fix=fix):
        files_in(package)
        model = package / DATA / _model_file(package / MANIFEST)
        for name in _names_of_weights(_program(model)):
            if not name.startswith(WEIGHTS) or "/" in inside(name.removeprefix(WEIGHTS)):
                raise ValueError(f"its model names weights in {name!r:.60}")


def _model_file(file: Path) -> str:
    """Where in `Data` a manifest says that the model lies, with nothing but its weights beside it."""
    content = read_given(file, MANIFEST, largest=LARGEST_MANIFEST)
    manifest = json.loads(content.decode("utf-8"), object_pairs_hook=_named_once)
    paths = {key: inside(entry["path"]) for key, entry in manifest["itemInfoEntries"].items()}
    model = paths.pop(manifest["rootModelIdentifier"])
    folder, _, _ = model.rpartition("/")
    for path in paths.values():
        if path != f"{folder}/{WEIGHTS_FOLDER}":
            raise ValueError(f"{MANIFEST} names {path!r:.60}, which are no weights beside its model")
    return model


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Of what it says twice, one reader takes the first, and another the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"{MANIFEST} says something twice")
    return found


def _program(model: Path) -> Any:
    """An ML Program as its file describes it, of protocol buffers."""
    from coremltools.proto import Model_pb2

    found = Model_pb2.Model()
    found.ParseFromString(read_given(model, model.name, largest=LARGEST_MODEL))
    if (kind := found.WhichOneof("Type")) != "mlProgram":
        raise ValueError(f"it holds a model of another kind, {kind}")
    return found


def _names_of_weights(message: Any) -> Iterator[str]:
    """The files that a message of protocol buffers names, in whatever part of it."""
    if message.DESCRIPTOR.name == "BlobFileValue":
        yield message.fileName
    for field, value in message.ListFields():
        for part in () if field.message_type is None else _parts(value):
            yield from _names_of_weights(part)


def _parts(value: Any) -> Iterator[Any]:
    """The messages in a field that holds one, several, or a map to some."""
    if hasattr(value, "ListFields"):
        yield value
    else:
        parts = value.values() if hasattr(value, "values") else value
        yield from (part for part in parts if hasattr(part, "ListFields"))
