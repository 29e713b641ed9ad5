"""Registers: what reaches further than one component, as exchange rates do. Whoever asked for something in one is asked again.

The engine keeps them in memory, and notes of each component what it asked for: by which name, and up to which day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol

from service.domain.facts import Fact

Lookup = tuple[str, int]  # what was asked for, a currency or a name of `lookup`, and for which day


class Register(Protocol):
    """What the live facts of some types say to whoever asks."""

    def add(self, fact: Fact) -> Iterable[Lookup]:
        """Take in a live fact; return what it may have changed: who asked for that from a day on is asked again."""

    def concerned(self, fact: Fact) -> Iterable[Lookup]:
        """Return what may change where a fact, voided or not, does not hold any more, or does again."""


def lookup(what: str, name: str) -> Lookup:
    """Return what those who ask for something of a name are found by, whatever the day; names may be long."""
    return f"{what} {hashlib.sha256(name.encode()).hexdigest()[:32]}", 0
