"""Figures of what stands, whatever happened in a period: stocks, and what of a sum was there before.

They do not add up over periods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.domain.figures import Exact, Figure, Parts, not_read

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
