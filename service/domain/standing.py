"""Figures of what stands, whatever happened in a period: stocks, what of a sum was there before, and people.

They do not add up over periods, and people do not over channels.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from service.domain.figures import Figure, Parts, not_read
from service.domain.units import Exact

if TYPE_CHECKING:
    from service.domain.report import Row


@dataclass(frozen=True, kw_only=True)
class Stock(Figure):
    """What a sum has come to by the end of a period, or of the window, whatever it was before; with `opening`, by its beginning.

    It adds up over groups, and not over periods: a period has a row also where its stock is all there is.
    """

    of: Parts
    opening: bool = False

    def value(self, row: Row, name: str) -> Exact | None:
        if not row.missing.isdisjoint(self.of):
            return not_read(row, name)
        stock = row.opening if self.opening else row.closing
        return sum(sign * stock.get(measure, 0) for measure, sign in self.of.items())

    def measures(self) -> tuple[str, ...]:
        return tuple(self.of)


@dataclass(frozen=True, kw_only=True)
class Earlier(Figure):
    """The part of a measure's sum that is of what was there before the period began: `since` is the dimension with that day."""

    of: str
    since: str

    def value(self, row: Row, name: str) -> Exact | None:
        if self.of in row.missing:
            return not_read(row, name)
        return row.earlier.get(self.of, 0)

    def operands(self) -> tuple[str, ...]:
        return (self.of,)


Labels = frozenset["str | None"]
PEOPLE = ("people", "profile")  # the measure that has everybody once, by the dimension that has what they are


def profile(*several: Iterable[str]) -> str:
    """Write sets of labels as one label."""
    return json.dumps([sorted(one) for one in several], ensure_ascii=False)


@lru_cache(maxsize=8192)
def _read_profile(text: str | None) -> tuple[Labels, Labels]:
    consented, addressable = json.loads(text or "[[], []]")
    return frozenset(consented), frozenset(addressable)


_HOW = {
    "consented": lambda consented, addressable: consented,  # noqa: ARG005  the labels that somebody counts under
    "addressable": lambda consented, addressable: addressable,  # noqa: ARG005
    "both": lambda consented, addressable: consented & addressable,
}


@dataclass(frozen=True, kw_only=True)
class Persons(Figure):
    """How many people there are of the row's labels, those that the measure `named` has; everybody counts once.

    `how` says which labels of theirs count: of `all` none matters. `of` is the measure of its entries, label by label.
    """

    of: str
    how: str
    named: str

    def value(self, row: Row, name: str) -> Exact | None:
        if self.of in row.missing:
            return not_read(row, name)
        labels = _HOW.get(self.how)
        return sum(
            times
            for text, times in row.people.items()
            if labels is None or not labels(*_read_profile(text)).isdisjoint(row.labels)
        )

    def measures(self) -> tuple[str, ...]:
        return (self.of, self.named)
