"""The one error of this package: a rewriter that is badly written, badly chosen or badly behaved."""


class RewriterError(ValueError):
    """A rewriter cannot be defined, selected or applied; the message names it and says what to do."""
