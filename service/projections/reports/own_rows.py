"""Rows that a report works out by itself: what its reader gives beside, or instead of, the sums of what was posted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.domain.given import NOTHING, Values
from service.projections.sums.selection import Key, Sums


@dataclass(frozen=True)
class OwnRows:
    """What the rows of a report are made of, by key; None is the key of all together. `kept` have a row whatever is in it.

    `otherwise` is given of a row without anything.
    """

    sums: dict[Key, Sums]
    given: Mapping[Key | None, Values] = field(default_factory=dict)
    kept: tuple[Key, ...] = ()
    otherwise: Values = NOTHING
