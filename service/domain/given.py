"""Figures that sums alone do not make: the reader of their report works them out row by row, or says why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.domain.figures import Figure, not_read
from service.domain.units import COUNT, OF_MEASURE, RATIO, Exact, written

if TYPE_CHECKING:
    from service.domain.report import Row


@dataclass(frozen=True)
class Values:
    """What is given of a row: by figure its exact value, or the reason why it has none; `unit` is that of its measure."""

    of: Mapping[str, Exact | str]
    unit: str = COUNT


@dataclass(frozen=True, kw_only=True)
class Given(Figure):
    """What is given of each row; `of` are the measures that it opens down to, `adds` whether rows add up to the total."""

    of: tuple[str, ...] = ()
    adds: bool = False

    def value(self, row: Row, name: str) -> Exact | None:
        if not row.missing.isdisjoint(self.of):
            return not_read(row, name)
        found = row.given.of.get(name, "there is nothing of it")
        return row.unknown(name, found) if isinstance(found, str) else found

    def write(self, row: Row, name: str) -> Any:
        value = row.value(name)
        if value is None:
            return None
        unit = row.given.unit if self.unit == OF_MEASURE else self.unit
        if unit == COUNT:  # a target may be a part of one
            return int(value) if value.denominator == 1 else written(value, RATIO, row.currency)
        return written(value, unit, row.currency)

    def operands(self) -> tuple[str, ...]:
        return self.of

    @property
    def additive(self) -> bool:
        return self.adds


NOTHING = Values({})
