"""What stands where nothing is stated: some systems write a word or a dash into an empty field.

`false` is what Odoo writes, `(not set)` what Google Analytics does, `--` what ad reports do. A mapping may name others.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

NOTHING = (
    "", "-", "--", "---", "–", "—", "false", "n/a", "nan", "nil", "none", "null", "undefined", "(none)", "(not set)", "(null)",
)  # fmt: skip


def states_nothing(value: Any, nothing: Collection[str] = NOTHING) -> bool:
    """Whether a value states nothing: it is none, false, or a text that is in the list, in whatever case."""
    return value is None or value is False or (isinstance(value, str) and value.strip().casefold() in nothing)
