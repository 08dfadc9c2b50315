"""Loaders of YAML over libyaml's parser, which takes a tenth of the time of the one in Python."""

from __future__ import annotations

from typing import Any

import yaml


def over_c_parser(loader: type[yaml.SafeLoader]) -> type[yaml.SafeLoader]:
    """A loader with libyaml's parser in place of its own; the same one where libyaml is not there.

    What resolves texts and builds values stays its own. libyaml refuses a little more. It ends the process over what is
    nested some ten thousand levels deep, so that a text of somebody else's is checked first: see `check_yaml`.
    """
    if not yaml.__with_libyaml__:
        return loader

    parser: Any = yaml.cyaml.CParser  # type: ignore[attr-defined]

    class OverCParser(parser, loader):  # type: ignore[misc, valid-type]
        """libyaml's nodes, and the values that the loader makes of them."""

        def __init__(self, stream: Any) -> None:
            parser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return OverCParser
