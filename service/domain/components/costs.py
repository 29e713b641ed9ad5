"""A cost entry of a campaign and what is reversed of it (SPEC section 2, "What posts when")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from service.domain.calendar import Zone
from service.domain.components.entities import Change, Entity
from service.domain.components.kind import Kind
from service.domain.components.series import Deductions
from service.domain.facts import Fact, Rule

_COST = (("cost_entry_id", "cost"),)
RULES = {
    "campaign.cost_booked": Rule(_COST, ("campaign_id", "amount", "cost_date")),
    "campaign.cost_reversed": Rule(_COST, ("amount", "cost_date")),
}


class CostEntry(Entity):
    """A cost entry as it was last booked, and its reversals."""

    kind = "cost"
    booked: Fact | None = None
    reversals: Deductions[Change]
    start: tuple[Any, ...] = ()  # what the reversals start from, when they were last worked out

    def __init__(self, identity: str) -> None:
        super().__init__(identity)
        self.reversals = Deductions()

    @property
    def arrived(self) -> bool:
        """Whether it was booked."""
        return self.booked is not None


class Costs:
    """The fold of a component that is one cost entry."""

    def __init__(self, _: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._entry: CostEntry | None = None

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        if self._entry:
            yield self._entry
            yield from self._entry.reversals

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""
        if self._entry:
            self.touched[self._entry] = None

    def take(self, fact: Fact) -> None:
        """Take in one live fact."""
        entry = self._entry = self._entry or CostEntry(fact.data["cost_entry_id"])
        if fact.type == "campaign.cost_booked":
            entry.state("booked", fact, fact)  # a second booking of the entry restates it, date included
        else:
            entry.reversals.insert(Change(fact, entry))
        self.touched[entry] = None

    def withdraw(self, fact: Fact, others: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; `others` are the live facts that remain."""
        entry = self._entry
        if entry is None:
            return False
        if fact.type == "campaign.cost_booked":
            entry.stated, entry.booked = {}, None
            for one in others:
                if one.type == fact.type:
                    entry.state("booked", one, one)
        else:
            gone = entry.reversals.remove(fact)
            gone.withdrawn = True
            self.touched[gone] = None
        self.touched[entry] = None
        return True


KIND = Kind("cost", RULES, Costs)
