"""Text as it may be shown: whoever wrote it, nothing in it acts on a terminal, hides, or floods one."""

from __future__ import annotations

LONGEST = 800
"""Characters of one text that are shown."""
_LAYOUT = "\n\t"
_CAPTION = 80
"""Characters."""


def printable(text: str) -> str:
    """A text with every character escaped that is not seen as itself.

    Those are the controls of terminals, of the direction of writing and of width, and halves of surrogate pairs. Ends
    of lines and tabs are left.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _LAYOUT else _escaped(one) for one in text)


def shortened(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text, and of how much of it the rest was cut."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest:,} more characters)"


def on_one_line(text: str, longest: int = LONGEST) -> str:
    """The beginning of a text, printable and without ends of lines or tabs: they are escaped too."""
    return "".join(_escaped(one) if one in _LAYOUT else one for one in printable(shortened(text, longest)))


def caption(text: str) -> str:
    """A text as it may be written into a picture. OpenCV crashes on halves of surrogate pairs."""
    return on_one_line(text, _CAPTION)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
