"""Deals as they stand: what is told of orders, invoices, opportunities, leads and touches, put together.

    deals = Deals()
    deals.take(line)      # in any order; a line that takes back what was told before comes at the same position
    deals.refresh()       # → the deals that may be dealt otherwise now

A deal goes by the name of its order; an invoice without an order is one of its own, with no touches.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from service.domain.attribution import models
from service.domain.attribution.measures import AMOUNTS
from service.domain.attribution.models import BUILT_IN, OFFICIAL, Model
from service.domain.attribution.touches import Deal, Moment, Touch
from service.domain.calendar import MICROS_PER_DAY
from service.projections.attribution.lines import Line
from service.projections.attribution.merged import Classes, Party

Said = Mapping[str, Any]
Place = tuple[str, int, int]  # measure, day, cohort day
Node = tuple[str, str]
_REACH = models.MOST_DAYS * MICROS_PER_DAY
_NOTHING: Said = {}


def deals_of(lines: Iterable[Line]) -> Deals:
    """Return the deals that lines tell of."""
    deals = Deals()
    for line in lines:
        deals.take(line)
    deals.refresh()
    return deals


class Deals:
    """The deals of a ledger, and the models that they may be dealt by."""

    def __init__(self) -> None:
        self.amounts: dict[str, dict[Place, int]] = defaultdict(dict)  # by entity
        self.notes: dict[str, set[str]] = defaultdict(set)  # by invoice, the names of its credit notes
        self.invoices: dict[str, set[str]] = defaultdict(set)  # by deal, the names of its invoices
        self.said: dict[str, dict[str, Said]] = defaultdict(dict)  # by kind, then by entity
        self._details: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        self._dirty: set[tuple[str, str]] = set()
        self._touches: dict[Party, dict[str, Touch]] = defaultdict(dict)
        self._reaching: dict[str, list[tuple[Party, Touch]]] = {}  # by touch
        self._orders: dict[str, set[str]] = defaultdict(set)  # by opportunity id
        self._listing: dict[Party, set[str]] = defaultdict(
            set
        )  # by party, the ids of opportunities that it may belong to
        self._ties: dict[Node, set[Node]] = defaultdict(set)
        self._loose: set[str] = set()  # orders without an opportunity that name something
        self._journeys: dict[str, frozenset[str]] = {}  # of these, the leads of their journeys, if any
        self._retied: set[Node] = set()
        self._classes = Classes()
        self._lists: dict[str, list[Touch]] = {}  # by opportunity id, its touches in order

    # Taking in

    def take(self, line: Line) -> None:
        """Take in a line."""
        if line.measure in AMOUNTS:
            place, of = (line.measure, line.day, line.cohort), self.amounts[line.entity]
            of[place] = of.get(place, 0) + line.amount
            if not of[place]:
                del of[place]
            self._dirty.add(("", line.entity))
            return
        key = (line.measure.partition(".")[2], line.entity)
        told, detail = self._details[key], line.detail or ""
        told[detail] = told.get(detail, 0) + line.amount
        if not told[detail]:
            del told[detail]
        self._dirty.add(key)

    def refresh(self) -> set[str]:
        """Have what was taken in count; return the deals that may be dealt otherwise, by name."""
        dirty, self._dirty, moved = self._dirty, set(), set[str]()
        merged = [key for key in dirty if key[0] == "merging"]
        for key in (*merged, *(key for key in dirty if key[0] != "merging")):
            kind, entity = key
            if not kind:
                moved.add(self.deal_of(entity))
                continue
            now = [json.loads(one) for one in self._details[key]]
            if not now:
                del self._details[key]
            if kind == "touch":
                self._touch(entity, now, moved)
                continue
            was, is_now = self.said[kind].pop(entity, None), now[0] if now else None
            if is_now is not None:
                self.said[kind][entity] = is_now
            getattr(self, f"_{kind}")(entity, was, is_now, moved)
        moved.update(self._look_for_journeys())
        moved.discard("")
        return moved

    def deal_of(self, entity: str) -> str:
        """Return the name of the deal that an entity's amounts are of; "" while that is not told."""
        kind, _, _ = entity.partition(":")
        if kind == "credit_note":
            said = self.said["credit_note"].get(entity)
            return self.deal_of(f"invoice:{said['invoice']}") if said else ""
        if kind == "invoice":
            said = self.said["invoice"].get(entity)
            return entity if said is None or said["order"] is None else f"order:{said['order']}"
        return entity

    def _order(self, entity: str, was: Said | None, now: Said | None, moved: set[str]) -> None:
        for said, tell in ((was, set.discard), (now, set.add)):
            if said is None:
                continue
            if said["opportunity"] is not None:
                tell(self._orders[said["opportunity"]], entity)
            elif said["names"]:
                tell(self._loose, entity)
            self._tie(("order", entity), said, tell)
        moved.add(entity)

    def _tie(self, node: Node, said: Said, tell: Any) -> None:
        others = [(kind, identity) for kind, identity in said.get("names", ())]
        if said.get("opportunity") is not None:
            others.append(("opportunity", said["opportunity"]))
        for other in others:
            self._tie_two(node, other, tell)

    def _tie_two(self, one: Node, other: Node, tell: Any) -> None:
        tell(self._ties[one], other)
        tell(self._ties[other], one)
        self._retied.update((one, other))

    def _quote(self, entity: str, was: Said | None, now: Said | None, _: set[str]) -> None:
        node = ("quote", entity.partition(":")[2])
        for said, tell in ((was, set.discard), (now, set.add)):
            self._tie(node, said or _NOTHING, tell)

    def _invoice(self, entity: str, was: Said | None, now: Said | None, moved: set[str]) -> None:
        for said, tell in ((was, set.discard), (now, set.add)):
            if said is not None:
                deal = entity if said["order"] is None else f"order:{said['order']}"
                tell(self.invoices[deal], entity)
                moved.add(deal)

    def _credit_note(self, entity: str, was: Said | None, now: Said | None, moved: set[str]) -> None:
        for said, tell in ((was, set.discard), (now, set.add)):
            if said is not None:
                invoice = f"invoice:{said['invoice']}"
                tell(self.notes[invoice], entity)
                moved.add(self.deal_of(invoice))

    def _opportunity(self, entity: str, was: Said | None, now: Said | None, moved: set[str]) -> None:
        identity = entity.partition(":")[2]
        for said, tell in ((was, set.discard), (now, set.add)):
            if said is None:
                continue
            for lead in said["leads"]:
                tell(self._listing["lead", lead], identity)
                self._tie_two(("opportunity", identity), ("lead", lead), tell)
            for contact, *_ in said["contacts"]:
                tell(self._listing["contact", contact], identity)
        self._changed(identity, moved)

    def _lead(self, entity: str, was: Said | None, now: Said | None, moved: set[str]) -> None:
        lead: Party = ("lead", entity.partition(":")[2])
        for said, tell in ((was, set.discard), (now, set.add)):
            if said and said["contact"]:
                tell(self._ties["contact", said["contact"][0]], lead)  # by whom it is found; it is no journey with it
        for identity in self._listing.get(lead, ()):
            self._changed(identity, moved)
        moved.update(self._journeys)

    def _merging(self, _: str, was: Said | None, now: Said | None, moved: set[str]) -> None:
        self._classes = Classes((said["kind"], said["ids"]) for said in self.said["merging"].values())
        for said in (was, now):
            for one in said["ids"] if said else ():
                for identity in self._opportunities_of((said or {})["kind"], one):
                    self._changed(identity, moved)
        moved.update(self._journeys)

    def _model(self, *_: Any) -> None:
        """Models are asked for when deals are dealt."""

    def _touch(self, entity: str, now: Sequence[Any], moved: set[str]) -> None:
        identity = entity.partition(":")[2]
        was = self._reaching.pop(entity, [])
        for party, _ in was:
            self._touches[party].pop(identity, None)
        for (kind, reached), at, *told in now:
            touch = Touch(Moment(*at), identity, *told)
            self._touches[kind, reached][identity] = touch
            self._reaching.setdefault(entity, []).append(((kind, reached), touch))
        for party, touch in (*was, *self._reaching.get(entity, ())):
            for opportunity in self._opportunities_of(*party):
                self._lists.pop(opportunity, None)
                moved.update(self._within_reach(opportunity, touch))
            moved.update(self._journeys)

    def _within_reach(self, opportunity: str, touch: Touch) -> Iterator[str]:
        for order in self._orders.get(opportunity, ()):
            at = self.said["order"][order]["at"][0]
            if at - _REACH - 1 <= touch.at.micros <= at:
                yield order

    def _changed(self, opportunity: str, moved: set[str]) -> None:
        self._lists.pop(opportunity, None)
        moved.update(self._orders.get(opportunity, ()))

    def _opportunities_of(self, kind: str, identity: str) -> set[str]:
        """Return the opportunities that somebody, or who is one with them, may belong to."""
        found: set[str] = set()
        for party in self._classes.members((kind, identity)):
            found |= self._listing.get(party, set())
            if kind == "contact":
                for lead in self._ties.get(party, ()):
                    found |= self._listing.get(lead, set())
        return found

    # The journeys of orders without an opportunity

    def _look_for_journeys(self) -> Iterator[str]:
        """Find the leads of their journeys anew where ties have changed; yield the orders that have others now."""
        retied, self._retied = self._retied, set()
        seen: set[Node] = set()
        for start in retied if self._loose or self._journeys else ():
            if start in seen:
                continue
            reached = self._hanging_together(start)
            seen |= reached
            leads = frozenset(identity for kind, identity in reached if kind == "lead")
            for order in (name for kind, name in reached if kind == "order"):
                now = leads if order in self._loose else frozenset()
                if now != self._journeys.pop(order, frozenset()):
                    yield order
                if now:
                    self._journeys[order] = now

    def _hanging_together(self, start: Node) -> set[Node]:
        reached, following = {start}, [start]
        while following:
            for node in self._ties.get(following.pop(), ()):
                if node not in reached:
                    reached.add(node)
                    following.append(node)
        return reached

    # Asking

    def names(self) -> Iterable[str]:
        """Return the names of all deals."""
        return [*self.said["order"], *(name for name in self.said["invoice"] if self.deal_of(name) == name)]

    def moments(self, name: str) -> Deal:
        """Return the moments of an order's deal."""
        said = self.said["order"][name]
        opportunity = self._opportunity_of(said)
        leads = opportunity["leads"] if opportunity else self._journeys.get(name, ())
        captured = [Moment(*one["at"]) for one in self._leads(leads)]
        return Deal(
            Moment(*said["at"]), min(captured, default=None), Moment(*opportunity["at"]) if opportunity else None
        )

    def touches(self, name: str) -> Sequence[Touch]:
        """Return the touches of an order's deal, in order, but those that are out of every model's reach."""
        said = self.said["order"][name]
        key = name if said["opportunity"] is None else said["opportunity"]
        if said["opportunity"] is None:
            found = self._touches_of(self.parties(name)) if self._journeys.get(name) else []
        else:
            found = self._lists[key] if key in self._lists else self._listed(key, name)
        at = said["at"][0]
        low = bisect_left(found, at - _REACH - 1, key=lambda touch: touch.at.micros)
        return found[low : bisect_right(found, at, key=lambda touch: touch.at.micros)]

    def all_touches(self, name: str) -> Sequence[Touch]:
        """Return all touches of an order's deal, in order."""
        return self._touches_of(self.parties(name))

    def _listed(self, opportunity: str, name: str) -> list[Touch]:
        found = self._lists[opportunity] = self._touches_of(self.parties(name))
        return found

    def _touches_of(self, parties: Iterable[Party]) -> list[Touch]:
        found = {identity: touch for party in parties for identity, touch in self._touches.get(party, {}).items()}
        return sorted(found.values())

    def parties(self, name: str) -> set[Party]:
        """Return the leads and contacts that are linked with an order's deal, by all of their ids."""
        opportunity = self._opportunity_of(self.said["order"][name])
        leads = opportunity["leads"] if opportunity else self._journeys.get(name, ())
        named = [
            (contact, True, *order)
            for one in self._leads(leads)
            if one["contact"]
            for contact, *order in [one["contact"]]
        ]
        last: dict[frozenset[Party], tuple[Any, bool]] = {}
        for contact, linked, *order in (*named, *(opportunity["contacts"] if opportunity else ())):
            members = self._classes.members(("contact", contact))
            if members not in last or last[members][0] < order:
                last[members] = (order, linked)
        found: set[Party] = set()
        for lead in leads:
            found |= self._classes.members(("lead", lead))
        return found.union(*(members for members, (_, linked) in last.items() if linked))

    def _opportunity_of(self, said: Said) -> Said | None:
        return (
            None if said["opportunity"] is None else self.said["opportunity"].get(f"opportunity:{said['opportunity']}")
        )

    def _leads(self, identities: Iterable[str]) -> list[Said]:
        told = self.said["lead"]
        return [told[f"lead:{one}"] for one in identities if f"lead:{one}" in told]

    def models(self) -> dict[str, Model]:
        """Return the models by name: those built in, then those published."""
        published = self.said["model"]
        return {**BUILT_IN, **{
            name.partition(":")[2]: models.read(published[name]["definition"], kept=True) for name in sorted(published)
        }}  # fmt: skip

    def official(self) -> str:
        """Return the model that is official: the one last said to be, unless another, or none, was said to be since."""
        said = [
            (one["official"][1:], one["official"][0], name)
            for name, one in self.said["model"].items()
            if one["official"]
        ]
        _, official, name = max(said, default=((), False, ""))
        return name.partition(":")[2] if official else OFFICIAL
