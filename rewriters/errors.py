"""The errors of this package: a rewriter that is badly written, badly chosen or badly behaved."""


class RewriterError(ValueError):
    """A rewriter cannot be defined, selected or applied; the message names it and says what to do."""


class RewriterCodeError(RewriterError):
    """A rewriter's own code raised, or gave what it must not.

    Args:
        kind: The sort of rewriter.
        name: Its name.
        why: What went wrong.
        where: The place in the network, or what the rewriter was asked for; empty for the network as a whole.
        line: Where in its author's code, as `file:line`.
    """

    def __init__(self, kind: str, name: str, why: str, where: str, line: str) -> None:
        super().__init__(kind, name, why, where, line)
        self.kind = kind
        self.name = name
        self.why = why
        self.where = where
        self.line = line

    def __str__(self) -> str:
        return f"{self.rewriter} at {self.where or 'the network'} ({self.line}): {self.why}"

    @property
    def rewriter(self) -> str:
        """The rewriter, as a sentence names it."""
        return f"the {self.kind} rewriter {self.name}"
