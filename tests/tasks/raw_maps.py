"""Draw the raw outputs that an original decoder was run on, by name."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def raw_maps(parity: Path, name: str, outputs: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the outputs that the rules of a decoder's reference draw, which are in the network's order."""
    rules = json.loads((parity / "decode" / f"{name}.json").read_text())["rules"]
    drawn = [
        np.random.default_rng(zlib.crc32(rule["key"].encode())).normal(rule["loc"], rule["scale"], rule["shape"])
        for rule in rules
    ]
    return {key: values.astype(np.float32) for key, values in zip(outputs, drawn, strict=True)}
