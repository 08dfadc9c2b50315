"""What a verb of the command line is."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from compiler.cli.arguments import Parser
from compiler.cli.composing import choices


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One verb of the command line. The module that defines it imports what the work needs where the work is done.

    Attributes:
        name: As it is typed.
        help: What it does, in a line.
        usage: What follows its name on a command line.
        takes: The same in the words of a message, such as "one bundle".
        examples: Command lines, without `python -m compiler`.
        add_arguments: Adds its arguments to a parser.
        run: Does its work, and gives the exit status.
        composes: Whether it composes a config, and so takes overrides.
    """

    name: str
    help: str
    usage: str
    takes: str
    examples: tuple[str, ...]
    add_arguments: Callable[[Parser], None]
    run: Callable[[Namespace], int]
    composes: bool = False

    def parser(self) -> Parser:
        """The parser of its arguments."""
        parser = Parser(self.name, self.usage, self.takes, self.help, self.examples)
        self.add_arguments(parser)
        return parser

    def page(self, config_dir: Path | None = None) -> str:
        """Its help: usage, arguments, examples, and what can be composed."""
        page = self.parser().format_help()
        return f"{page}\n{choices(config_dir)}" if self.composes else page
