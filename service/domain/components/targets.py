"""Targets (REPORTS section 2): what a measure is to come to in a period, of all or of some dimensions, each as last set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.domain.calendar import Zone
from service.domain.components.entities import Entity
from service.domain.components.kind import Kind
from service.domain.facts import Fact, Rule

DIMENSIONS = {  # by the dimension of reports, the field that states it
    "campaign": "campaign_id", "campaign_type": "campaign_type", "channel": "channel", "owner": "owner_id", "team": "team",
}  # fmt: skip
RULES = {"target.set": Rule((("period", "target"),), ("measure", "value", *DIMENSIONS.values()))}
Place = tuple[Any, ...]


class Target(Entity):
    """What a measure is to come to in a period, of those with some dimensions: the event that set it last."""

    kind = "target"
    fact: Fact | None = None


class Targets:
    """The fold of all targets of a period."""

    def __init__(self, _: Zone) -> None:
        self.touched: dict[Entity, None] = {}
        self._targets: dict[Place, Target] = {}

    def contributing(self) -> Iterator[Entity]:
        """Return everything that may contribute."""
        yield from self._targets.values()

    def touch_all(self) -> None:
        """Have everything contribute anew: a rate may have changed."""
        self.touched.update(dict.fromkeys(self.contributing()))

    def take(self, fact: Fact) -> None:
        """Take in one live fact: it replaces the target of the same place as a whole, unless that was set later."""
        place = _place(fact.data)
        target = self._targets.get(place)
        if target is None:
            target = self._targets[place] = Target(_name(fact.data))
        target.state("fact", fact, fact)
        self.touched[target] = None

    def withdraw(self, fact: Fact, others: Iterable[Fact]) -> bool:
        """Take back a fact that was voided; `others` are the live facts that remain."""
        place = _place(fact.data)
        target = self._targets[place]
        target.stated, target.fact = {}, None
        self.touched[target] = None
        for one in others:
            if _place(one.data) == place:
                self.take(one)
        return True


def _place(data: Mapping[str, Any]) -> Place:
    return data["measure"], *map(data.get, DIMENSIONS.values())


def _name(data: Mapping[str, Any]) -> str:
    """Name a target by its measure, its period and the dimensions that it states."""
    stated = (f"{name}={json.dumps(data[name], ensure_ascii=False)}" for name in DIMENSIONS.values() if name in data)
    return " ".join((data["measure"], data["period"], *stated))


KIND = Kind("target", RULES, Targets)
