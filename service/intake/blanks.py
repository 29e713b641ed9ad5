"""What systems write where they have nothing to say: NULL, (not set), --, a dash. Such a value states nothing.

The list is for texts and ids that come in by imports and by senders; a truth value is none of these, it is read as such.
A mapping may have a list of its own (`blanks`), which takes the place of this one.
"""

from __future__ import annotations

from collections.abc import Iterable

BLANKS = (
    "null", "none", "nil", "undefined", "false", "n/a", "#n/a", "nan",
    "(not set)", "(none)", "(blank)", "(empty)", "-", "--", "---", "–", "—",
)  # fmt: skip


def blanks_of(words: Iterable[str] = BLANKS) -> frozenset[str]:
    """Return a list of words in the form that `is_blank` takes."""
    return frozenset(word.strip().casefold() for word in words)


DEFAULT = blanks_of()


def is_blank(text: str, blanks: frozenset[str] = DEFAULT) -> bool:
    """Tell whether a text states nothing: it is empty, or one of the words, in small letters or capitals."""
    return not (text := text.strip()) or text.casefold() in blanks
