"""How bundles are opened, by a verb or whoever opens several alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from compiler.config.limits import DEFAULT_LIMITS, Limits
from compiler.runtime import bundle as bundles
from compiler.runtime.contents import BundleContents, read_bundle


@dataclass(frozen=True)
class Opening:
    """How bundles are opened; see `compiler.runtime.open`.

    Attributes:
        modules: Of the user's own backends and tasks.
        engine_code: Whether engines may bring code.
        network_code: Whether code may be run that is not ours and that a bundle names as its network.
        trust_changes: Whether files may be others than their lock says.
        limits: What an input may cost.
        cache: Where backends keep what they make of engines, and stages of the network.
        streams: How many inputs a predictor's `stream` looks at at once.
    """

    modules: Collection[str] = ()
    engine_code: bool = False
    network_code: bool = False
    trust_changes: bool = False
    limits: Limits = DEFAULT_LIMITS
    cache: Path | None = None
    streams: int = 1

    def contents(self, bundle: str | PathLike[str]) -> BundleContents:
        """See `read_bundle`."""
        return read_bundle(
            bundle,
            self.modules,
            engine_code=self.engine_code,
            trust_changes=self.trust_changes,
            limits=self.limits,
        )

    def predictor(self, bundle: str | PathLike[str]) -> bundles.Predictor:
        """See `compiler.runtime.open`."""
        return bundles.open(
            bundle,
            self.modules,
            engine_code=self.engine_code,
            trust_changes=self.trust_changes,
            limits=self.limits,
            cache=self.cache,
            streams=self.streams,
        )


OPENING = Opening()
"""As whoever says nothing."""
